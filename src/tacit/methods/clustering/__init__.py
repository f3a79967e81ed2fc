"""Methods that give samples to clusters and learn from the clusters."""
