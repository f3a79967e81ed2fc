"""Time series: tables and arrays of measurements over time, with any number of channels and any length."""

from tacit.modalities.series.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.series.reading import ENDINGS, open_source, recognises
from tacit.modalities.series.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.series.views import RECIPES, evaluation_view, make_views, raw

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
