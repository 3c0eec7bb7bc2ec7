"""Same input, same bytes: whatever the cores, the folder, the kills and the clips that come."""

from __future__ import annotations

import pytest

from tests import determinism

pytestmark = pytest.mark.timeout(1800)


def test_nothing_in_the_dataset_tells_where_it_was_made(demo):
    assert determinism.traces_of_the_machine(demo) == []


@pytest.mark.slow
def test_every_way_to_the_dataset_ends_in_the_same_bytes(tmp_path):
    found = dict(determinism.cases(tmp_path))
    first = next(iter(found.values()))
    differ = {
        case: sorted({name for name, _ in set(files.items()) ^ set(first.items())})
        for case, files in found.items()
    }
    assert len(found) == 5 and not any(differ.values()), differ
