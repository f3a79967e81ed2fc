"""Graphs: the nodes of a large one, or many small ones, with features of their nodes."""

from tacit.modalities.graph.encoders import default_encoder, encoder_names, make_encoder, wrap_encoder
from tacit.modalities.graph.folders import is_layout
from tacit.modalities.graph.reading import ENDINGS, open_source, recognises
from tacit.modalities.graph.spec import ALONE, NOUN, Spec, spec_of
from tacit.modalities.graph.views import RECIPES, evaluation_view, make_views, raw

__all__ = [
    "ALONE",
    "ENDINGS",
    "NOUN",
    "RECIPES",
    "Spec",
    "default_encoder",
    "encoder_names",
    "evaluation_view",
    "is_layout",
    "make_encoder",
    "make_views",
    "open_source",
    "raw",
    "recognises",
    "spec_of",
    "wrap_encoder",
]
