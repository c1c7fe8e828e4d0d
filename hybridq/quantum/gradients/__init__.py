"""Differentiate expectation values that an executable gives."""
