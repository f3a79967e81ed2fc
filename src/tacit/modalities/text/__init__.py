"""Text: documents, reviews, sentences, in any language."""

from tacit.modalities.text.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.text.reading import ENDINGS, open_source, recognises
from tacit.modalities.text.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.text.views import RECIPES, evaluation_view, make_views, raw

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
