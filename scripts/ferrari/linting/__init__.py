"""Checks of a training folder as the trainers' loaders read it: what would go wrong silently.

`training_folder` finds images, captions and masks; each trainer's module reports what its loader
would do with them, as `Finding`s. The traps were found in the loaders' own code, or by running
them.
"""
