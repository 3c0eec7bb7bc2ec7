"""make decide: what is asked becomes a row, or is refused with what would be right."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest

from ferrari.captions import overrides
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.review import decision_table, decisions
from ferrari.review.applying import track_digest
from ferrari.subject import answer_file, clip_table
from ferrari.subject.identity_table import IdentityRow
from scripts.tools import decide, trace_item
from tests.settings import ROOT
from tests.stage import final_set


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = final_set.Clip(tmp_path / "dataset", "walk.mp4", frames=2)
    final_set.select(tmp_path / "dataset", [clip])
    return clip


def images(clip):
    return [row["item"] for row in clip.rows["augment"]]


def rows(clip):
    return list(decisions.load(clip.dataset).rows)


def test_drop_undo_and_redo_are_rows_and_each_says_how_it_is_taken_back(clip, capsys):
    one = clip.rows["augment"][0]
    assert decide.main(["--drop", one["item"], "--why", "blurred", "--who", "ana"]) == 0
    (row,) = rows(clip)
    assert (row.decision, row.scope, row.who, row.reason) == ("drop", "image", "ana", "blurred")
    assert row.target_sha256 == one["sha256"]
    assert f"make decide UNDO={row.id} WORK={clip.dataset.parent}\n" in capsys.readouterr().out
    assert decide.main(["--undo", "last"]) == 0 and rows(clip) == []
    assert decide.main(["--redo", "last"]) == 0 and rows(clip) == [row]
    assert decide.main([]) == 0
    assert f"{row.id}  drop image {one['item']}, ana" in capsys.readouterr().out
    assert decide.main(["--undo", row.id]) == 0 and rows(clip) == []
    assert decide.main(["--undo", row.id]) == 1, "it is taken back already"


def test_a_name_of_a_file_will_do_and_a_clip_is_a_clip(clip):
    assert decide.main(["--drop", f"{images(clip)[1]}.png"]) == 0
    assert decide.main(["--drop", "walk.mp4"]) == 0
    assert [row.target for row in rows(clip)] == [images(clip)[1], clip.video]
    assert rows(clip)[1].target_sha256 == clip.raw_sha256


def test_a_crop_and_its_cut_out_are_told_apart_by_scope(clip):
    crop = clip.rows["mask"][0]["item"]
    assert decide.main(["--drop", crop, "--scope", "cutout"]) == 0
    assert decide.main(["--keep", crop]) == 0
    assert decide.main(["--caption", crop, "--text", "sks person, {background}"]) == 0
    assert [(row.scope, row.decision) for row in rows(clip)] == [
        ("cutout", "drop"), ("item", "keep"), ("cutout", "caption")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--drop", "wave.mp4"], "nothing in . is known as 'wave.mp4'"),
        (["--drop", "{video}-f000009-p0"], "crop has no row of"),
        (["--drop", "{video}-f000000"], "name a crop in it"),
        (["--caption", "{video}-f000000-p0-v0"], "caption needs a value"),
        (["--drop", "{video}", "--keep", "{video}"], "one thing at a time"),
        (["--undo", "last"], "holds no row last"),
        (["--drop", "{video}", "--why", "two\nlines"], "a line break"),
        (["--caption", "{image}", "--text", "a person, {{background}}"], "TOKEN_MISSING"),
        (["--caption", "{image}", "--text", "sks person, {{place}}"], "UNKNOWN_SLOT:place"),
        (["--caption", "{crop}", "--text", "sks person, a forest"], "RECIPE_CONTRADICTED"),
        (
            ["--caption", "{image}", "--text", "sks person, {{background}}", "--why", "because"],
            "reason holds 'because'",
        ),
        (["--subject", "{video}-t0"], "has no tracks to decide about"),
        (["--subject", "{crop}"], "has no tracks to decide about"),
        (["--duplicate", "{image}", "--of", "{image}"], "no duplicate of itself"),
        (["--duplicate", "{image}"], "duplicate_of needs a value"),
        (["--mask", "{crop}"], "mask needs a value"),
        (["--drop", "1.png", "--scope", "reference"], "is called so"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:20],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(clip, capsys, asked, said):
    known = {"video": clip.video, "image": images(clip)[0], "crop": clip.rows["mask"][0]["item"]}
    assert decide.main([word.format(**known) for word in asked]) == 1
    assert said in capsys.readouterr().err and not decision_table.place(clip.dataset).exists()


def test_an_item_has_its_caption_from_one_file(clip, capsys):
    path = clip.dataset / overrides.PLACE
    path.parent.mkdir()
    path.write_text(f"item,caption\n{images(clip)[0]},sks person\n")
    assert decide.main(["--caption", images(clip)[0], "--text", "sks person"]) == 1
    assert "overrides.csv has a line for" in capsys.readouterr().err


def test_half_a_line_that_something_left_stops_nobody(clip, capsys):
    assert decide.main(["--drop", images(clip)[0]]) == 0
    with open(decision_table.place(clip.dataset), "a") as stream:
        stream.write("half a li")
    assert decide.main(["--undo", "last"]) == 0 and rows(clip) == []
    assert "was cut off, and is now in" in capsys.readouterr().err


def test_make_hands_any_text_on_as_it_is(clip):
    text = 'it\'s $(HOME) "quoted" `true` $HOME'
    words = [f"WORK={os.getcwd()}", f"DROP={images(clip)[0]}", f"WHY={text}", "WHO=ana"]
    done = subprocess.run(
        ["make", "--no-print-directory", "-o", ".venv/.ready", "decide", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rows(clip)[0].reason == text


def test_a_caption_may_have_a_problem_that_its_author_accepts(clip):
    text = "sks person, on a chair, {background}"
    assert decide.main(["--caption", images(clip)[0], "--text", text]) == 1
    why = ["--why", "CONTEXT_WORD:chair"]
    assert decide.main(["--caption", images(clip)[0], "--text", text, *why]) == 0


def test_duplicates_are_named_by_what_they_repeat(clip, capsys):
    one, other = images(clip)[:2]
    assert decide.main(["--duplicate", f"{one}.png", "--of", other]) == 0
    assert decide.main(["--drop", other]) == 0
    assert [(row.decision, row.value) for row in rows(clip)] == [
        ("duplicate_of", other),
        ("drop", ""),
    ]
    assert decide.main(["--undo", rows(clip)[0].id]) == 0
    final_set.select(clip.dataset, [clip], rows(clip))
    capsys.readouterr()
    assert decide.main(["--duplicate", one, "--of", other]) == 1
    assert f"{other} is not kept itself" in capsys.readouterr().err


def test_a_mask_is_saved_and_named_and_one_that_does_not_fit_is_not(clip, tmp_path, capsys):
    crop = clip.rows["crop"][0]
    crop |= {"sha256": "cd" * 32, "crop_x1": 0, "crop_y1": 0, "crop_x2": 24, "crop_y2": 40}
    clip.write()
    for shape, status in (((40, 24, 4), 0), ((24, 40), 1)):
        file = tmp_path / "mask.png"
        file.write_bytes(image_files.encode_png(np.full(shape, 255, np.uint8)))
        assert decide.main(["--mask", crop["item"], "--file", str(file)]) == status
    assert "is 40x24 px, and the crop 24x40" in capsys.readouterr().err
    (row,) = rows(clip)
    assert (row.decision, row.scope, row.target_sha256) == ("mask", "cutout", "cd" * 32)
    (saved,) = (clip.dataset / "review/masks").iterdir()
    assert row.value == f"review/masks/{saved.name}"


@pytest.fixture
def tracks(clip):
    """The clip's two crops are of a track each; who is who is not known."""
    for number, row in enumerate(clip.rows["crop"]):
        row["track"] = number
    clip.write()
    write_identities(clip)
    return [f"{clip.video}-t{number}" for number in range(2)]


def write_identities(clip):
    path = clip.dataset / stages.IDENTITY / f"{clip.video}.csv"
    known = {"who": "unsure", "why": "no_face", "linked_track": 0, "frames": 1}
    people = [IdentityRow(number, from_s=0.0, to_s=0.0, **known) for number in range(2)]
    clip_table.write(path, IdentityRow(None, "references"), people)


def test_tracks_are_named_by_their_id_or_a_crop_and_get_their_digest(clip, tracks, capsys):
    crop, frame = clip.rows["crop"][1], clip.rows["crop"][1]["parent"].rpartition("-d")[0]
    assert decide.main(["--subject", tracks[0]]) == 0
    assert decide.main(["--not-subject", crop["item"]]) == 0
    assert decide.main(["--merge", tracks[0], "--with", tracks[1]]) == 1
    assert "the one is said to be the subject" in capsys.readouterr().err
    assert decide.main(["--undo", "last"]) == 0
    assert decide.main(["--merge", tracks[0], "--with", tracks[1]]) == 0
    assert decide.main(["--split", tracks[1], "--at", frame]) == 1
    assert "the frame does not cut the track" in capsys.readouterr().err
    digests = [track_digest([row["parent"]]) for row in clip.rows["crop"]]
    assert [(row.decision, row.target, row.target_sha256, row.value) for row in rows(clip)] == [
        ("is_subject", tracks[0], digests[0], ""),
        ("merge_tracks", tracks[0], digests[0], f"{tracks[1]} {digests[1]}"),
    ]
    assert decide.main(["--subject", f"{clip.video}-t7"]) == 1
    assert "has t0, t1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "named", "told"),
    [
        ("cluster", False, True),
        ("cluster", True, False),
        ("single", False, False),
        ("", False, False),
    ],
)
def test_where_nobody_is_named_a_track_s_decision_says_that_it_names_nobody(
    clip, tracks, capsys, mode, named, told
):
    """It was taken without a word, and the next run failed as the one before."""
    who = clip.dataset / stages.WHO_JSON
    who.parent.mkdir(parents=True, exist_ok=True)
    answer_file.write(who, answer_file.Told(mode=mode, named=named))
    if not mode:
        who.write_text("damaged")
    for option in ("--subject", "--not-subject"):
        assert decide.main([option, tracks[0]]) == 0
        said = capsys.readouterr().out
        assert ("counts for this track alone" in said and "the folder references" in said) is told
    assert decide.main(["--drop", tracks[0][: -len("-t0")]]) == 0
    assert "track alone" not in capsys.readouterr().out


def test_a_track_is_traced(clip, tracks, capsys):
    assert trace_item.main([tracks[1], "--all"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"{tracks[1]}: a track" in told and "no face is seen" in told
    assert track_digest([clip.rows["crop"][1]["parent"]]) in told
    assert "crop 1 kept" in told and "final 2 kept" in told
    assert images(clip)[2] in told and images(clip)[0] not in told
    assert trace_item.main([f"{clip.video}-t7"]) == 1
    assert tracks[0] in capsys.readouterr().err


def test_a_reference_picture_is_known_by_its_name_or_its_digest(clip, capsys):
    line = {"file": "1.png", "sha256": "ef" * 32, "outcome": "kept", "reason": "", "decision": ""}
    tables.write_table(clip.dataset / stages.REFERENCES_CSV, tuple(line), [line])
    assert decide.main(["--drop", "1.png", "--scope", "reference"]) == 0
    assert "judges all clips anew" in capsys.readouterr().out
    assert decide.main(["--keep", "ef" * 32, "--scope", "reference"]) == 0
    (row,) = rows(clip)
    assert (row.decision, row.target, row.scope) == ("keep", "ef" * 32, "reference")


def test_a_cut_outs_caption_is_tried_on_those_of_its_images_that_have_none_of_their_own(clip):
    crop, (first, second) = clip.rows["mask"][0]["item"], images(clip)[:2]
    caption = ["--caption", crop, "--text", f"sks person, {final_set.BACKGROUNDS[0]}"]
    assert decide.main(caption) == 1, f"{second} is on another background"
    assert decide.main(["--caption", second, "--text", "sks person, {background}"]) == 0
    assert decide.main(caption) == 0
    assert [row.target for row in rows(clip)] == [second, crop] and first not in rows(clip)[0]


def test_where_no_set_was_made_it_is_said_how_a_set_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert decide.main(["--drop", "wave.mp4"]) == 1
    assert "name its folder: WORK=folder" in capsys.readouterr().err
    assert decide.main([]) == 0
    assert "name its folder: WORK=folder" in capsys.readouterr().out
