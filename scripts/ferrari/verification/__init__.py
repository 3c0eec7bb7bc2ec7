"""Whether the dataset is what was written, to the last bit."""
