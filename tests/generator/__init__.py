"""The project's own generator of synthetic clips with known truth: `ClipSpec`, `render_frame`."""

from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec, PersonTruth, Rendered, tight_box

__all__ = ["ClipSpec", "FigureSpec", "PersonTruth", "Rendered", "render_frame", "tight_box"]
