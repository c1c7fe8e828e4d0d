"""Train heads alone, one or hundreds at once, on features that are there already."""
