"""Volumes: scans and other three-dimensional images of any size and spacing."""

from tacit.modalities.volume.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.volume.reading import ENDINGS, open_source, recognises
from tacit.modalities.volume.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.volume.views import RECIPES, evaluation_view, make_views, raw

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
