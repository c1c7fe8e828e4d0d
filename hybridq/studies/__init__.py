"""Studies: many trained models under many conditions, as one table."""
