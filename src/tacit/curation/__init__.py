"""Which data is worth it: functions on arrays that choose samples, numpy or torch in, plain results out."""

from tacit.curation.covers import greedy_cover, near_pairs
from tacit.curation.distillation import Distilled, Student, kernel_ridge, krr_st, train_on_distilled
from tacit.curation.duplicates import near_duplicates
from tacit.curation.memorised import memorised
from tacit.curation.nearest import nearest
from tacit.curation.open_sets import coreset_epochs, simcore
from tacit.curation.reduction import difference_hash, redundancy
from tacit.curation.sampling import balanced, hierarchy, water_fill
from tacit.curation.selection import Selection
from tacit.curation.subsets import sas

__all__ = [
    "Distilled",
    "Selection",
    "Student",
    "balanced",
    "coreset_epochs",
    "difference_hash",
    "greedy_cover",
    "hierarchy",
    "kernel_ridge",
    "krr_st",
    "memorised",
    "near_duplicates",
    "near_pairs",
    "nearest",
    "redundancy",
    "sas",
    "simcore",
    "train_on_distilled",
    "water_fill",
]
