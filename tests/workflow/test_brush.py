"""A mask mended in a browser, before the server itself: strokes, neighbours, another segmenter."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import uvicorn

from ferrari.common.atomic_files import write_text
from ferrari.dashboard import mask_api
from ferrari.dashboard.application import Doors, create_app
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.ledger.stages import table
from ferrari.matting import mask_proposals
from ferrari.review import decisions, writing
from ferrari.review_page import page, page_data
from ferrari.review_page.entries import MASK, Entry
from tests.unit.dashboard.served import TOKEN, set_in
from tests.unit.matting import one_track
from tests.unit.matting.one_track import CROPS, VIDEO, alpha_of
from tests.unit.review.rows import decided
from tests.workflow import browser

#: In place of a segmenter: all of the crop, after a while in which the page says that it works.
TOOL = f"""
import sys, time
sys.path.insert(0, {str(mask_api.TOOL.parents[1])!r})
import numpy as np
from ferrari.images import image_files
time.sleep(1)
words = dict(zip(sys.argv[2::2], sys.argv[3::2]))
picture = np.full(({one_track.HEIGHT}, {one_track.WIDTH}), 255, np.uint8)
open(words["--out"], "wb").write(image_files.encode_png(picture))
"""


@pytest.fixture
def the_set(tmp_path, monkeypatch):
    """A track of cut-outs, its page, and a tool that takes a second for a mask."""
    the_set = set_in(tmp_path)
    one_track.write(the_set.dataset)
    the_set.qc.mkdir()
    write_text(the_set.qc / "review.html", page.html(data(the_set)))
    tool = tmp_path / "tool.py"
    tool.write_text(TOOL)
    monkeypatch.setattr(mask_api, "TOOL", tool)
    names = ["isnet", "u2net"]
    monkeypatch.setattr(mask_api.mask_proposals, "segmenters_at_hand", lambda config: names)
    return the_set


def data(the_set: ReviewedSet) -> dict:
    """The page's data: the cut-outs, that of the second frame in doubt and so the first."""
    rows = tables.read_stage(the_set.dataset / table("mask", VIDEO), "mask")
    entries = [
        Entry(
            *(MASK, "cutout", VIDEO, row["item"], row["sha256"], "KD"),
            doubt=0.9 if row["item"] == CROPS[1] else 0.1,
            track="7",
            time_s=number / 2,
        )
        for number, row in enumerate(rows)
    ]
    return page_data.build(
        dataset=page_data.dataset_id(["0" * 64]),
        subject={"token": "sks", "class": "person"},
        root="../dataset",
        clips=[(VIDEO, one_track.NAME)],
        entries=entries,
        sheets={},
        references={"sprites": [], "names": []},
    )


@contextlib.contextmanager
def serving(the_set: ReviewedSet) -> Iterator[str]:
    """The address of the page while the server answers it."""
    app = create_app(the_set, TOKEN, Doors())
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        port = running.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/review?t={TOKEN}"
    finally:
        running.should_exit = True
        thread.join()


def test_a_stroke_is_on_the_disk_and_neighbours_are_accepted_one_by_one(the_set):
    with serving(the_set) as url:
        seen = browser.ask("review_along", url)
    rows = decisions.load_for_run(the_set.dataset).rows
    assert [(row.decision, row.target) for row in rows] == [("mask", CROPS[1]), ("mask", CROPS[2])]
    for row, number in zip(rows, (1, 2), strict=True):
        mask_u8 = image_files.read(the_set.dataset / row.value)
        off = np.abs(mask_u8.astype(int) - alpha_of(number, holder=False)) > 64
        assert off.mean() < 0.03, "the stand is gone, and nearly nothing else"
        assert not mask_u8[70:94, 55 + 2 * (number - 1)].any()
        assert (mask_u8[20:90, 40] == 255).all()
    assert seen["names"] == ["isnet", "u2net"]
    assert seen["told"].startswith("3 neighbours along the track would change")
    told = [f"Neighbour {n} of 3: {CROPS[k]}" for n, k in ((1, 2), (2, 0), (3, 3))]
    assert seen["titles"] == told
    assert (seen["left"], seen["focus"], seen["trouble"]) == ("grid", "grid", "")
    assert seen["states"].count("mask mended") == 2


def test_a_mask_is_mended_at_the_crops_own_pixels(the_set):
    """What a stroke adds and removes, and one that was taken back, pixel by pixel; a neighbour that
    has a mask of somebody's already is not offered.
    """
    own = mask_proposals.accepted(the_set.dataset, CROPS[2], alpha_of(2))
    known = {"value": own.path, "target_sha256": own.target_sha256}
    writing.append(the_set.dataset, [decided("mask", CROPS[2], "cutout", **known)])
    with serving(the_set) as url:
        seen = browser.ask("review_mend", url)
    _, row = decisions.load_for_run(the_set.dataset).rows
    assert (row.scope, row.decision, row.target) == ("cutout", "mask", CROPS[1])
    assert row.who == "ana" and seen["state"] == "mask mended"
    assert seen["told"].startswith("2 neighbours along the track would change")
    mask_u8, before = image_files.read(the_set.dataset / row.value), alpha_of(1)
    assert mask_u8[50, 65] == 255 and before[50, 65] == 0, "added"
    assert mask_u8[80, 30] == 0 and before[80, 30] == 255, "removed"
    far = np.ones(before.shape, bool)
    far[44:56, 40:], far[70:90, 12:50] = False, False
    assert (mask_u8[far] == before[far]).all(), "the last stroke was taken back"
