"""The stages' implementation; `scripts.lib` holds what they share."""
