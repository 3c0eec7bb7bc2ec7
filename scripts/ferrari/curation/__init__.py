"""Which images make a dataset worth training on: likeness, coverage, choice, splits."""
