"""The page on which a person looks at a whole dataset and decides: its data, pictures and HTML."""
