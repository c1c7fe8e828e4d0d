"""Heads that are fitted in closed form to the features of a frozen encoder."""
