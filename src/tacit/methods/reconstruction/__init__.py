"""Methods that restore what was hidden."""
