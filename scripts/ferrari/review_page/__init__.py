"""The page on which a person reviews a whole dataset and decides: its data, pictures and HTML."""
