"""Videos: files, folders of frames and arrays, of any length, size and number of channels."""

from tacit.modalities.video.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.video.reading import ENDINGS, open_source, recognises
from tacit.modalities.video.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.video.views import RECIPES, evaluation_view, make_views, raw

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
