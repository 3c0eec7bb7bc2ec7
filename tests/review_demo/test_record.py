"""What is wrong with a whole review is found in its record, and nothing in a sound one."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PIL import Image

from ferrari.review import effects
from tests.review_demo import record, sequence, sets
from tests.review_demo.__main__ import tell
from tests.review_demo.kinds import KINDS, clip_of, related
from tests.review_demo.record import InForce, Made, Record, Rerun, Traced

CLIP = "walk-room-1e6b6d7006"
IMAGE, CROP, TRACK = f"{CLIP}-f000003-p0-v1", f"{CLIP}-f000003-p0", f"{CLIP}-t2"
RUN = Rerun(
    "The next run has 3 jobs.", {"mask": 1, "qc5": 2}, {"mask": 1, "qc5": 2}, "ended well", 9
)


TOLD = Traced(IMAGE, "drop a1", "drop of it by keys alone", "the text")


def sound() -> Record:
    """A record of two decisions in which nothing is wrong."""
    return Record(
        shown={"dataset": "decided 0 of 4 shown"},
        kinds=[
            Made("drop an image", "drop", 1, [IMAGE], ["dropped"], [12.0], 0.5),
            Made("split a track", "split_track", 1, [TRACK], ["split"], [14.0], 0.5),
        ],
        progress="decided 1 of 4 shown",
        applying=RUN,
        rows=[
            InForce("a1", "drop", IMAGE, effects.APPLIED, ""),
            InForce("a2", "split_track", TRACK, effects.APPLIED, ""),
        ],
        traced=[TOLD] * 3,
        verified=["Verified: 40 checks, none failed."] * 2,
        undone=2,
        undo_ms=[10.0, 11.0],
        undoing=RUN,
        digests=["aa", "bb", "aa"],
        differing=[],
        left_to_do={},
        pictures=[["1/01_keys.png", "The list of keys"], ["2/01_after.png", "After"]],
    )


def test_nothing_is_wrong_with_a_sound_review():
    assert record.faults(sound()) == []
    assert record.table(sound()).endswith("\nnothing is wrong")
    assert "120 decisions a minute" in record.table(sound())


WRONG = {
    "nobody could": {"kinds": [*sound().kinds, Made("mend a mask", "mask", 1)]},
    "not in the table: split_track": {"rows": sound().rows[:1]},
    "in the table alone: keep": {
        "rows": [*sound().rows, InForce("a3", "keep", IMAGE, effects.AGREES, "")]
    },
    "is pending after the run": {
        "rows": [InForce("a1", "drop", IMAGE, effects.PENDING, ""), sound().rows[1]]
    },
    "is stale after the run": {
        "rows": [sound().rows[0], InForce("a2", "split_track", TRACK, effects.STALE, "")]
    },
    "the run for the decisions: failed jobs": {"applying": replace(RUN, ended="failed jobs")},
    "the run for taking them back: there was none": {"undoing": replace(RUN, ended="")},
    "the page told {'mask': 1, 'qc5': 2}, and the run did {'mask': 2": {
        "applying": replace(RUN, done={"mask": 2, "qc5": 2})
    },
    "does not tell drop a1": {"traced": [TOLD, TOLD, replace(TOLD, line="")]},
    "only 2 of 3 images show": {"traced": [TOLD] * 2},
    "split a track: 1 were made, and 2 times all was saved": {
        "kinds": [sound().kinds[0], replace(sound().kinds[1], ms=[1.0, 2.0])]
    },
    "verify: 1 of 40 checks failed": {"verified": ["Verified: ok", "1 of 40 checks failed"]},
    "2 decisions were made, and 1 taken back": {"undone": 1},
    "the decisions changed nothing": {"digests": ["aa", "aa", "aa"]},
    "gives other bytes: final.csv": {"digests": ["aa", "bb", "cc"], "differing": ["final.csv"]},
    "there is still to do: {'mask': 1}": {"left_to_do": {"mask": 1}},
    "Not saved: drop": {"troubles": ["Not saved: drop"]},
}


@pytest.mark.parametrize("said", WRONG)
def test_each_fault_is_found_alone(said):
    (found,) = record.faults(replace(sound(), **WRONG[said]))
    assert said in found


@pytest.mark.parametrize(
    ("decision", "target", "explains"),
    [
        ("split_track", TRACK, True),
        ("not_subject", f"{CLIP}-t9", True),
        ("is_subject", TRACK, False),
        ("split_track", "wave-garden-5c8c4395be-t2", False),
        ("drop", CROP, True),
        ("drop", f"{CLIP}-f000003-p01", False),
    ],
)
def test_a_decision_may_be_in_vain_by_another_one_of_what_it_was_made_of(
    decision, target, explains
):
    row = InForce("a1", "caption", IMAGE, effects.ABSENT, "")
    other = InForce("a2", decision, target, effects.APPLIED, "")
    found = record.cause(row, replace(sound(), rows=[row, other]))
    assert found == (f"{decision} of {target}" if explains else "")


def test_what_is_related_and_of_which_clip():
    assert related(IMAGE, CROP) and related(CROP, IMAGE) and related(IMAGE, IMAGE)
    assert not related(IMAGE, f"{CROP}-v0") and not related(f"{CLIP}-t2", f"{CLIP}-t21")
    assert {clip_of(one) for one in (IMAGE, CROP, TRACK)} == {CLIP}


def test_kinds_have_names_and_keys_of_their_own():
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert len({(kind.view, kind.key) for kind in KINDS}) == len(KINDS)


def test_what_is_written_and_the_exit_status(tmp_path, capsys):
    for file, _ in sound().pictures:
        (tmp_path / "pictures" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (128, 86), (90, 120, 60)).save(tmp_path / "pictures" / file)
    assert tell(tmp_path, sound()) == 0
    assert tell(tmp_path, replace(sound(), undone=1)) == 1
    told = json.loads((tmp_path / "review-demo.json").read_text())
    assert told["faults"] == ["2 decisions were made, and 1 taken back"]
    assert told["kinds"][0]["targets"] == [IMAGE]
    with Image.open(tmp_path / "review-demo.webp") as film:
        assert film.n_frames == 2
    assert (tmp_path / "review-demo.png").is_file()
    assert "drop an image" in capsys.readouterr().out


def test_frames_of_a_film_have_one_size(tmp_path):
    for name, size in (("a.png", (200, 100)), ("b.png", (300, 300))):
        Image.new("RGB", size).save(tmp_path / name)
    one, other = sequence.frames(tmp_path, [["a.png", "one"], ["b.png", "two"]])
    assert one.size == other.size


def test_nobody_elses_folder_is_used(tmp_path):
    sets.own_folder(tmp_path / "new")
    sets.own_folder(tmp_path / "new")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/clip.mp4").write_bytes(b"mine")
    with pytest.raises(sets.ForeignFolderError, match="did not make"):
        sets.own_folder(tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["clip.mp4"]
