"""A whole review by keys alone, as `make review-demo` makes of the demo; of three clips."""

from __future__ import annotations

import pytest

from tests.review_demo import record, sets, whole_review
from tests.workflow import browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
NUMBER = 2


def test_what_is_decided_by_keys_is_done_told_and_taken_back(tmp_path):
    browser.chromium()
    run = sets.finished(tmp_path / "set", sets.of_three_clips, cores=2)
    found = whole_review.prove(run, tmp_path / "pictures", NUMBER, cores=2)
    print(record.table(found))
    assert record.faults(found) == []
    fewer = [kind.name for kind in found.kinds if kind.number < kind.asked]
    assert fewer in ([], ["join two tracks"]), "three clips may have one pair of tracks alone"
    assert found.states.get("applied", 0) >= len(found.kinds)
    assert [one.decision.split()[0] for one in found.traced] == ["drop", "caption", "mask"]
    assert found.applying.done["mask"] >= 1 and "detect" not in found.applying.done
