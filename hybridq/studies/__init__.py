"""Studies of trained models, each over a grid of settings."""
