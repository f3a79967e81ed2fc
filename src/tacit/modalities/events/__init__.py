"""Event sequences: what happened to each of many entities (customers, patients, machines), and when."""

from tacit.modalities.events.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.events.reading import ENDINGS, open_source, recognises
from tacit.modalities.events.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.events.views import RECIPES, evaluation_view, make_views, raw

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
