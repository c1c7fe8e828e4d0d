"""Give each gate of a circuit its own plain angle, and compute those angles in torch."""
