"""Differentiate the expectation values of an executable."""
