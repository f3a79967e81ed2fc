"""Methods: how views, encoder, heads and objective meet. One short file a method."""
