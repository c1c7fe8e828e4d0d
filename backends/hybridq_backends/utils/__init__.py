"""Read and write files, keep secrets, derive seeds, and check names and rows."""
