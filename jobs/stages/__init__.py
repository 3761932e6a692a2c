"""Work on a volume in stages, block by block: pure functions, marks of what is done, resume."""
