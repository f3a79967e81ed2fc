"""Estimators for scikit-learn. torch is imported when one is fitted, not before."""

from tacit.sklearn.self_supervised import SelfSupervised
from tacit.sklearn.tldr import TLDR

__all__ = ["TLDR", "SelfSupervised"]
