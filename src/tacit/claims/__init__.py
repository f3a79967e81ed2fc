"""Claims: one small honest experiment a paper, run here and now."""
