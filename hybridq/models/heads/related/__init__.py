"""Heads of related papers, one a file, and the controls that no other head has."""
