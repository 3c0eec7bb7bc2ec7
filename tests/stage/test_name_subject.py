"""Who the subject is, for a whole set, by pictures and clips whose faces are known."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.images.faces import EmbeddedFace, Face
from ferrari.ledger import tables
from ferrari.subject import pins, sightings_file, template_file
from ferrari.subject.sightings import Linked
from ferrari.subject.sightings_file import SeenFace
from ferrari.subject.templates import ReferencesError, Thresholds
from tests.unit.review.rows import decided

name_subject = importlib.import_module("02_name_subject").name_subject
THRESHOLDS = Thresholds(0.45, 0.36)
ANNA, BERT, CLEO, _ = np.eye(4, dtype=np.float32)
COLOURS = {(200, 0, 0): ANNA, (0, 200, 0): BERT, (0, 0, 200): CLEO}


def find(picture_rgb):
    """One face in every picture that is not black: that of the picture's colour."""
    if not picture_rgb.any():
        raise image_files.ImageReadError("the networks for faces: MODEL_CRASHED")
    rest = 0.1 * np.random.default_rng(picture_rgb.shape[1]).normal(size=4)
    found = COLOURS[tuple(picture_rgb[5, 5].tolist())] + rest.astype(np.float32)
    embedding = (found / np.linalg.norm(found)).astype(np.float32)
    face = Face((0.0, 0.0, 90.0, 100.0), np.zeros((5, 2), np.float32), 0.9)
    return [EmbeddedFace(face, embedding)]


def folder(path, *colours):
    path.mkdir()
    for number, colour in enumerate(colours):
        picture = np.full((120, 100 + number, 3), colour, np.uint8)
        (path / f"{number}.png").write_bytes(image_files.encode_png(picture))
    return str(path)


def clip(path, *people):
    """Sightings of people who are there one after the other, three frames each."""
    items = [f"clip-f{n:06d}-d0" for n in range(3 * len(people))]
    track = np.repeat(np.arange(len(people)), 3)
    boxes = np.tile(np.array([10, 10, 90, 190], np.float32), (len(items), 1))
    times_s = np.arange(len(items)) / 2
    linked = Linked(track, times_s, times_s, items, np.zeros((len(people), 3)), boxes)
    faces = {
        item: [SeenFace(people[at], (0.0, 0.0, 80.0, 90.0), 0.95, 0.0)]
        for item, at in zip(items, track.tolist(), strict=True)
    }
    sightings_file.write(path, sightings_file.seen_clip(linked, faces, 4))
    return str(path)


@pytest.fixture
def name(tmp_path):
    def run(mode, clips=(), finder=None, gone=(), review=(), **folders):
        outputs = {"table": "references.csv", "people": "people.csv", "template": "who.npz"}
        outputs |= {"said": "who.json"}
        answer = name_subject(
            mode=mode,
            folders={f"subject.{key.strip('_')}": where for key, where in folders.items()},
            voters=[f"clip{n}" for n in range(len(clips))],
            gone=gone,
            sightings=clips,
            thresholds=THRESHOLDS,
            dimensions=4,
            finder=finder or find,
            pinned_csv=str(tmp_path / "pinned.csv"),
            refused_csv=str(tmp_path / "refused.csv"),
            outputs={key: str(tmp_path / file) for key, file in outputs.items()},
            review=review,
        )
        told = json.loads((tmp_path / "who.json").read_text())
        assert told["said"] == answer.said and told["named"] == (answer.template is not None)
        return told, template_file.read(tmp_path / "who.npz")

    return run


RED, GREEN, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 0)


def test_references_name_the_subject_and_each_picture_has_its_row(name, tmp_path):
    own = folder(tmp_path / "own", RED, RED, RED, GREEN, BLACK)
    told, template = name("references", references=own, not_=folder(tmp_path / "not", GREEN))
    rows = tables.read_table(tmp_path / "references.csv")
    assert [(row["setting"][8:], row["outcome"], row["reason"]) for row in rows] == [
        *[("references", "kept", "")] * 3,
        ("references", "quarantined", "STRANGER"),
        ("references", "quarantined", "UNREADABLE_PICTURE"),
        ("not", "kept", ""),
    ]
    assert len(template.members) == 3 and len(template.negatives) == 1
    assert "3 of 5 pictures can be used" in told["said"]
    assert pins._pinned(tmp_path / "pinned.csv")[1], "the references are pinned by their digest"


def test_references_that_agree_on_nobody_end_the_job(name, tmp_path):
    with pytest.raises(ReferencesError, match="no majority"):
        name("references", references=folder(tmp_path / "own", RED, GREEN, BLACK))
    assert not (tmp_path / "who.npz").exists() and not (tmp_path / "references.csv").exists()
    rows = tables.read_table(tmp_path / "refused.csv")
    assert [(row["file"], row["outcome"], row["reason"]) for row in rows] == [
        ("0.png", "quarantined", "NO_MAJORITY"),
        ("1.png", "quarantined", "NO_MAJORITY"),
        ("2.png", "quarantined", "UNREADABLE_PICTURE"),
    ]
    assert rows[0]["detail"] == "person 1 of 2, in 1 of the pictures"
    assert 0 < float(rows[0]["threshold"]) == THRESHOLDS.above and rows[0]["value"]


def test_the_table_of_refused_pictures_goes_with_the_next_answer(name, tmp_path):
    with pytest.raises(ReferencesError, match=r"refused\.csv"):
        name("references", references=folder(tmp_path / "two", RED, GREEN))
    name("references", references=folder(tmp_path / "one", RED, RED))
    assert not (tmp_path / "refused.csv").exists()


def test_a_picture_of_others_that_shows_the_subject_is_named(name, tmp_path):
    own, others = folder(tmp_path / "own", RED, RED, RED), folder(tmp_path / "not", GREEN, RED)
    with pytest.raises(ReferencesError, match="take for the subject"):
        name("references", references=own, not_=others)
    rows = tables.read_table(tmp_path / "refused.csv")
    refused = [(row["setting"], row["file"]) for row in rows if row["reason"] == "SHOWS_SUBJECT"]
    assert refused == [("subject.not", "1.png")] and len(rows) == 5


def test_pictures_none_of_which_can_be_used_have_their_rows_too(name, tmp_path):
    with pytest.raises(ReferencesError, match="none can be used"):
        name("references", references=folder(tmp_path / "own", BLACK))
    (row,) = tables.read_table(tmp_path / "refused.csv")
    assert row["reason"] == "UNREADABLE_PICTURE"


def test_a_vote_names_whom_most_clips_show(name, tmp_path):
    clips = [clip(tmp_path / f"{n}.npz", ANNA, *([BERT] if n == 0 else [])) for n in range(4)]
    told, template = name("cluster", clips)
    assert told["named"] and len(template.members) == 4
    people = tables.read_table(tmp_path / "people.csv")
    assert [tuple(row.values()) for row in people] == [("0", "4", "4", "1"), ("1", "1", "1", "0")]
    assert [row["video"] for row in tables.read_table(tmp_path / "pinned.csv")] == told["voters"]


def test_two_people_equally_often_name_nobody(name, tmp_path):
    clips = [clip(tmp_path / f"{n}.npz", (ANNA, BERT)[n % 2]) for n in range(4)]
    told, template = name("cluster", clips)
    assert template is None and told["why"] == "no_majority"
    assert {row["subject"] for row in tables.read_table(tmp_path / "people.csv")} == {"0"}


def test_voters_that_are_gone_are_named_where_nobody_is(name, tmp_path):
    """Without them the vote may come to nobody, and every crop of the set is put aside."""
    clips = [clip(tmp_path / f"{n}.npz", (ANNA, BERT)[n % 2]) for n in range(4)]
    told, _ = name("cluster", clips, gone=("walk-0123456789",))
    assert "1 of the 5 clips that vote are gone (walk-0123456789" in told["said"]
    assert "delete subject_pinned.csv" in told["said"] and told["why"] == "no_majority"
    told, _ = name("cluster", clips[::2], gone=("walk-0123456789",))
    assert told["named"] and "gone" not in told["said"]


def test_of_two_who_are_always_together_a_picture_of_one_names_the_other(name, tmp_path):
    clips = [clip(tmp_path / f"{n}.npz", ANNA, BERT) for n in range(3)]
    assert name("cluster", clips)[1] is None
    told, template = name("cluster", clips, not_=folder(tmp_path / "not", GREEN))
    assert told["named"] and (template.members @ ANNA > 0.9).all()


def test_single_names_nobody_and_counts_the_people_of_the_sample(name, tmp_path):
    clips = [clip(tmp_path / f"{n}.npz", (ANNA, BERT)[n % 2]) for n in range(4)]
    told, template = name("single", clips)
    assert template is None and not told["why"]
    assert told["said"].endswith(
        "looked at: 4 clips; with faces that can be told apart: 4; people: 2"
    )


def test_without_any_clip_nothing_is_pinned(name, tmp_path):
    told, _ = name("single")
    assert "no clip was looked at" in told["said"] and not (tmp_path / "pinned.csv").exists()


def test_the_same_clips_give_the_same_bytes(name, tmp_path):
    clips = [clip(tmp_path / f"{n}.npz", ANNA) for n in range(3)]
    name("cluster", clips)
    first = (tmp_path / "who.npz").read_bytes()
    name("cluster", [clip(tmp_path / f"{n}.npz", ANNA) for n in range(3)])
    assert (tmp_path / "who.npz").read_bytes() == first


def test_a_picture_that_a_person_dropped_counts_for_nothing_and_undo_gives_all_back(name, tmp_path):
    own = folder(tmp_path / "own", RED, RED, RED)

    def files():
        return {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}

    name("references", references=own)
    plain, rows = files(), tables.read_table(tmp_path / "references.csv")
    drop = decided("drop", rows[1]["sha256"], "reference", reason="not her")
    by_name = decided("drop", "1.png", "reference", target_sha256=rows[1]["sha256"])
    for row in (drop, by_name):
        told, template = name("references", references=own, review=[row])
        mine = tables.read_table(tmp_path / "references.csv")[1]
        assert (mine["reason"], mine["decision"]) == ("DROPPED_BY_REVIEW", row.id)
        assert "ana" in mine["detail"] and len(template.members) == 2
        assert "2 of 3 pictures can be used; refused: dropped by a person (1)" in told["said"]
    name("references", references=own)
    assert files() == plain


def test_all_pictures_dropped_end_the_job(name, tmp_path):
    own = folder(tmp_path / "own", RED)
    name("references", references=own)
    (row,) = tables.read_table(tmp_path / "references.csv")
    with pytest.raises(ReferencesError, match=r"dropped by a person \(1\); none can be used"):
        name("references", references=own, review=[decided("drop", row["sha256"], "reference")])
