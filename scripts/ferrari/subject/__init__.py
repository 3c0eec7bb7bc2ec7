"""Whose pixels: people followed through a clip, how they look, and who is the subject."""
