"""Methods in which a slow copy of the network says how likely each prototype is."""
