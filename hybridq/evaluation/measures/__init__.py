"""Measure models and circuits: cost, geometry, expressibility and attention."""
