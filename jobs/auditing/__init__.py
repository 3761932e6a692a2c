"""An audit, step by step: rows from wherever they are, counted once, then read as findings."""
