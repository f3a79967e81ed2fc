"""Trajectories: what was seen, done and gained at each step of an episode."""

from tacit.modalities.trajectory.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.trajectory.reading import ENDINGS, open_source, recognises
from tacit.modalities.trajectory.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.trajectory.views import RECIPES, evaluation_view, make_views, raw

__all__ = [
    "ALONE",
    "ENDINGS",
    "NOUN",
    "RECIPES",
    "Spec",
    "default_encoder",
    "encoder_names",
    "evaluation_view",
    "make_encoder",
    "make_views",
    "open_source",
    "raw",
    "recognises",
    "spec_of",
    "wrap_encoder",
]
