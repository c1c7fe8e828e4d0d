"""Prove by small circuits that a backend is what its profile claims."""
