"""Images: folders, arrays and data sets of pictures with any number of channels and any size."""

from tacit.modalities.image.encoders import default_encoder, encoder_names, make_encoder
from tacit.modalities.image.raw import raw, wrap_encoder
from tacit.modalities.image.read_folder import SUFFIXES
from tacit.modalities.image.reading import open_source, recognises
from tacit.modalities.image.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.image.views import RECIPES, evaluation_view, make_views

ENDINGS = tuple(sorted(SUFFIXES))

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
