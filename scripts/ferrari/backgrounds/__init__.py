"""Backgrounds: recipes, colours, noise, procedural scenes, the bank of scenes, compositing."""
