"""Post jobs that outlive their process, find them again, and collect them."""
