"""A whole review of the demo by keys alone, in a browser, and the proof that the dataset follows."""
