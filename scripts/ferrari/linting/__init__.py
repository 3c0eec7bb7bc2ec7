"""A training folder as the trainers' loaders read it, and what they would do in silence.

`training_folder` finds images, captions and masks; each trainer's module says what its loader makes
of them, as `Finding`s. The traps were read in the loaders' own code, or met by running them.
"""
