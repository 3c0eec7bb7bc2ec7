"""A whole review by keys alone, in a browser, and the proof that the dataset follows it."""
