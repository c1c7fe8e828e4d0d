"""Ask what each block of a classifier is worth: its encoder, its reducer and its head."""
