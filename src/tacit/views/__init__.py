"""Views: what serves several modalities."""
