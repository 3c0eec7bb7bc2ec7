"""When the bank of scenes stays as it is though a clip that it was drawn from is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.provenance import bank_stays, table_stamps
from ferrari.provenance.job import Params, ScriptJob

LENDS, REFUSED, GONE = "lends-0000000000", "refused-1111111111", "gone-2222222222"


def bank(dataset: Path, lenders):
    """A bank that was drawn from three clips, of which some lent a scene; its inputs by clip."""
    rows = [
        dict.fromkeys(COLUMNS["environments"], "")
        | {
            "environment": video,
            "video": video,
            "outcome": "kept" if video in lenders else "dropped",
        }
        | ({"path": f"environments/{video}.png", "sha256": "5ce0e"} if video in lenders else {})
        for video in (LENDS, REFUSED, GONE)
    ]
    inputs = {video: [dataset / f"videos/{video}.csv"] for video in (LENDS, REFUSED, GONE)}
    for (path,) in inputs.values():
        tables.write_table(path, ["item"], [{"item": path.stem}])
    (dataset / "environments").mkdir()
    for video in lenders:
        (dataset / f"environments/{video}.png").touch()
    tables.write_table(dataset / "environments.csv", COLUMNS["environments"], rows)
    table_stamps.write(
        table=dataset / "environments.csv",
        dataset=dataset,
        rule="environments",
        code="c0de",
        settings={},
        inputs=[str(path) for paths in inputs.values() for path in paths],
    )
    return inputs


@pytest.fixture
def inputs(tmp_path):
    return bank(tmp_path, {LENDS})


class Outputs(list):
    """As Snakemake gives them: files in order, and by name."""

    @property
    def table(self):
        return self[0]


def left(inputs, *videos):
    return [path for video in videos for path in inputs[video]]


def test_it_stays_where_only_clips_that_lent_none_are_gone(tmp_path, inputs):
    assert bank_stays.as_stamped(tmp_path, "c0de", left(inputs, LENDS, REFUSED))
    assert bank_stays.as_stamped(tmp_path, "c0de", left(inputs, LENDS))
    assert not bank_stays.as_stamped(tmp_path, "c0de", left(inputs, REFUSED, GONE)), "it lent one"


def test_where_nobody_is_gone_or_somebody_came_there_is_nothing_to_say(tmp_path, inputs):
    assert not bank_stays.as_stamped(tmp_path, "c0de", left(inputs, LENDS, REFUSED, GONE))
    other = tmp_path / "videos/other-3333333333.csv"
    assert not bank_stays.as_stamped(tmp_path, "c0de", [*left(inputs, LENDS, REFUSED), other])


@pytest.mark.parametrize("what", ["code", "table", "lost", "bank", "stamp", "scene"])
def test_all_else_has_to_be_as_it_was(tmp_path, inputs, what):
    """Whatever may have another scene drawn sends all variants to be looked at, as before."""
    (path,) = inputs[LENDS]
    if what == "table":
        path.write_text("item\nother\n")
    elif what == "lost":
        path.unlink()
    elif what == "scene":
        (tmp_path / f"environments/{LENDS}.png").unlink()
    elif what in ("bank", "stamp"):
        place = tmp_path / "environments.csv"
        place = place if what == "bank" else table_stamps.place(tmp_path, place)
        place.write_text(place.read_text() + "\n")
    code = "other" if what == "code" else "c0de"
    assert not bank_stays.as_stamped(tmp_path, code, left(inputs, LENDS, REFUSED))


def test_before_a_run_the_clips_that_are_left_must_not_have_been_touched(tmp_path, inputs):
    raw, made = tmp_path / "lends.mp4", tmp_path / "environments.csv"
    raw.touch()
    names = left(inputs, LENDS, REFUSED)
    after = raw.stat().st_ctime_ns + 1
    os.utime(made, ns=(after, after))
    assert bank_stays.stays(tmp_path, "c0de", names, [raw])
    os.utime(made, ns=(after - 2, after - 2))
    assert not bank_stays.stays(tmp_path, "c0de", names, [raw])
    os.utime(made, ns=(after, after))
    assert not bank_stays.stays(tmp_path, "c0de", names, [raw, tmp_path / "none.mp4"])


def test_its_stamp_names_no_table_of_the_gone_afterwards(tmp_path, inputs):
    names = left(inputs, LENDS, REFUSED)
    bank = tmp_path / "environments.csv"
    place, drawn = table_stamps.place(tmp_path, bank), bank.read_bytes()
    stamp = table_stamps.read(place)
    job = ScriptJob(
        "environments",
        [str(name) for name in names],
        Outputs([str(bank)]),
        Params(code="c0de"),
        {"dataset": str(tmp_path)},
    )
    assert bank_stays.leave_alone(job) and bank.read_bytes() == drawn
    again = table_stamps.read(place)
    assert set(again["inputs"]) == {f"videos/{video}.csv" for video in (LENDS, REFUSED)}
    assert {**again, "inputs": {}} == {**stamp, "inputs": {}}
    assert not bank_stays.leave_alone(job), "nothing is left to say"
