"""Ask what SimCLR and the quantum layer each add."""
