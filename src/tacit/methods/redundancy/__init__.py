"""Methods that make views agree and dimensions differ."""
