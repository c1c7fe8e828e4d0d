"""Run units of work over processes or machines, and resume them."""
