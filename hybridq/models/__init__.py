"""Encoders, heads, self-supervised methods, and the classifier made of them."""
