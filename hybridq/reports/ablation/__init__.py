"""Lay out what an ablation found."""
