"""Methods that predict another network's representation."""
