"""Keep run folders: their files, their locks and what they record."""
