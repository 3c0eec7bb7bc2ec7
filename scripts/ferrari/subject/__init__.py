"""People tracked through a clip, their appearance, and which of them is the subject."""
