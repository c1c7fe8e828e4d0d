"""Plan a submission: its images, its circuit, its cost and its budget."""
