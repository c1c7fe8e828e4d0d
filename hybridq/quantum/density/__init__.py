"""Simulate noisy circuits exactly, batched and differentiable, in torch."""
