"""Quantum kernels: their circuits, Gram matrices, combinations and measures."""
