"""diffusers' DreamBooth and textual inversion examples: flat folders of images.

Nothing in such a folder says that it is one, so it is linted only where it is asked for. Met by
running both examples' dataset classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import images_in, size_of

NO_IMAGE = Trap(
    "diffusers/not-an-image",
    "the trainer opens everything in the folder as an image: the run ends on it",
    "leave images alone in the folder",
)
NOT_IN_INSTANCE = Trap("dreambooth/not-an-image", NO_IMAGE.effect, NO_IMAGE.cure)
STRETCHED = Trap(
    "diffusers/not-square",
    "{count} images are not square: textual inversion stretches them to squares",
    "pad them to squares",
)


class DreamBooth:
    """A folder of instance images."""

    NAME = "dreambooth"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """False: it has to be asked for by name."""
        return False

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        yield from _others(folder, NOT_IN_INSTANCE)


def _others(folder: Path, trap: Trap) -> Iterator[Finding]:
    images = set(images_in(folder))
    for path in sorted(folder.iterdir()):
        if path not in images:
            yield trap.found(path.relative_to(folder))


class Diffusers:
    """A folder for textual inversion, whose images have to be square."""

    NAME = "diffusers"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """False: it has to be asked for by name."""
        return False

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        yield from _others(folder, NO_IMAGE)
        sizes = (size_of(image) for image in images_in(folder))
        uneven = sum(size is not None and size[0] != size[1] for size in sizes)
        if uneven:
            yield STRETCHED.found(".", count=uneven)
