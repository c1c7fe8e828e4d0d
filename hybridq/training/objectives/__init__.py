"""What is trained for: an objective makes a loss of a batch, and `fit` does the rest."""
