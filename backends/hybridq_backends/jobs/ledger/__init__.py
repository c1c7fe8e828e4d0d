"""Remember what was meant to be posted, what was, and what came back."""
