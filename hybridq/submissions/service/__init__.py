"""Post the jobs of a submission, find them again, and fetch their results."""
