"""Methods that train with labels and predict them."""
