"""Which images make a good dataset: similarity, coverage, selection, splits."""
