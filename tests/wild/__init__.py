"""A corpus of clips through stages 0 and 1, each held against what ffmpeg makes of it."""
