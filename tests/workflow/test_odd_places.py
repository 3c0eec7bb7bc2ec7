"""A project wherever it lies."""

from __future__ import annotations

import pytest

from tests.faults.injecting import undo
from tests.workflow.small_run import FINAL

pytestmark = pytest.mark.timeout(600)


def test_a_project_goes_on_in_a_folder_of_any_name(small, tmp_path):
    """Spaces, quotes, braces and letters of other scripts: nothing is to be done after the move,
    and what is taken away is made again to the same bytes.
    """
    moved = small.copy(tmp_path / """moved here/it's "o k" $HOME Ж {video}""")
    assert moved.planned() == {}
    undo(moved, "caption", "wave-two")
    moved.run("--cores", "2", FINAL)
    assert moved.digests() == small.digests()
