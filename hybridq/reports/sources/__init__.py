"""Read the folders that a report is made from."""
