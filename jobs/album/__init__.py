"""Photos that were taken one after the other: read together, and answered together."""
