"""Raw files, containers, timestamps and frames: stages 0 and 1."""
