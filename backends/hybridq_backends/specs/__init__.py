"""Describe backends: validated specs, their capabilities, and named profiles."""
