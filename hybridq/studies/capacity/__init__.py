"""Ask what the circuit of a head contributes."""
