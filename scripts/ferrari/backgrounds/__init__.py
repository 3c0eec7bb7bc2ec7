"""Backgrounds: recipes, colours, noise, procedural scenes, the scene bank, compositing."""
