"""How long a pretraining is, and what its features are worth on the way."""
