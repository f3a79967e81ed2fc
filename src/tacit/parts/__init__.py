"""Small parts that many methods use."""
