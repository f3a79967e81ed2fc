"""What the site says about the code, made from the code: nothing here imports torch."""
