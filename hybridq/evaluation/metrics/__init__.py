"""Compute figures of merit and curves from labels and probabilities."""
