"""Jobs on IBM hardware: submit, survive, collect."""
