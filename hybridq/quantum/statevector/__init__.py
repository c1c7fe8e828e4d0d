"""Simulate pure states exactly, batched and differentiable, in torch."""
