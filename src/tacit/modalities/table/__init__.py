"""Tables: rows of numbers, categories, booleans and dates, any of which may be missing."""

from tacit.modalities.table.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.table.reading import ENDINGS, open_source, recognises
from tacit.modalities.table.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.table.views import RECIPES, evaluation_view, make_views, raw

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
