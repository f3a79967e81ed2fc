"""tacit: self-supervised learning on any data."""

__version__ = "0.1.0"
