"""Checks that the dataset is still what the pipeline wrote, to the last bit."""
