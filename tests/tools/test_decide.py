"""make decide: what is asked becomes a row, or is refused with what would be right."""

from __future__ import annotations

import os
import subprocess

import pytest

from ferrari.captions import overrides
from ferrari.review import decisions
from scripts.tools import decide
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
    assert f"make decide UNDO={row.id}" in capsys.readouterr().out
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
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:20],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(clip, capsys, asked, said):
    assert decide.main([word.format(video=clip.video) for word in asked]) == 1
    assert said in capsys.readouterr().err and not decisions.place(clip.dataset).exists()


def test_an_item_has_its_caption_from_one_file(clip, capsys):
    path = clip.dataset / overrides.PLACE
    path.parent.mkdir()
    path.write_text(f"item,caption\n{images(clip)[0]},sks person\n")
    assert decide.main(["--caption", images(clip)[0], "--text", "sks person"]) == 1
    assert "overrides.csv has a line for" in capsys.readouterr().err


def test_half_a_line_that_something_left_stops_nobody(clip, capsys):
    assert decide.main(["--drop", images(clip)[0]]) == 0
    with open(decisions.place(clip.dataset), "a") as stream:
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
