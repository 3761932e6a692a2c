"""Training: rows to pixels, what a worker does, checkpoints, and workers spread by Ray Train."""
