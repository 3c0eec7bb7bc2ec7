"""Stamps say what a table was when it was written, and notice when they are changed themselves."""

from __future__ import annotations

import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.ledger import tables
from ferrari.provenance import table_stamps


@pytest.fixture
def table(tmp_path):
    """A dataset with one extract table, made from one probe table."""
    probe = tmp_path / "videos/v.csv"
    tables.write_stage(probe, "probe", [tables.row("probe", item="v", parent="v", outcome="kept")])
    image = tmp_path / "01_extracted_frames/v/v-f000000.webp"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"pixels")
    made = tmp_path / "01_extracted_frames/v.csv"
    row = tables.row(
        "extract",
        item="v-f000000",
        parent="v",
        outcome="kept",
        path="01_extracted_frames/v/v-f000000.webp",
        sha256=sha256_file(image),
    )
    tables.write_stage(made, "extract", [row])
    return made


def _write(table, **changed):
    arguments = {
        "table": table,
        "dataset": table.parents[1],
        "rule": "extract",
        "code": "c0de",
        "settings": {"fps": 2.0},
        "inputs": [str(table.parents[1] / "videos/v.csv"), "/elsewhere/weights.csv"],
    }
    table_stamps.write(**arguments | changed)
    return table_stamps.place(table.parents[1], table)


def test_a_stamp_holds_what_the_table_is_and_what_made_it(table):
    path = _write(table)
    assert path == table.parents[1] / "stamps/01_extracted_frames/v.json"
    stamp = table_stamps.read(path)
    assert stamp["table"] == "01_extracted_frames/v.csv" and stamp["sha256"] == sha256_file(table)
    assert stamp["rows"] == {"kept": 1} and stamp["code"] == "c0de"
    assert stamp["settings"] == {"fps": 2.0} and "av" in stamp["libraries"]
    assert stamp["inputs"] == {"videos/v.csv": sha256_file(table.parents[1] / "videos/v.csv")}
    assert stamp["files"] == {}, "the frame is listed by its row"


def test_files_that_no_row_lists_are_pinned_but_not_a_trainers_nor_a_desktops(table):
    folder = table.with_suffix("")
    for name in (".DS_Store", "Thumbs.db", "._v-f000000.webp"):
        (folder / name).write_bytes(b"a view's settings")
    (folder / "dataset.toml").write_text("x = 1")
    (folder / "v-f000000_0512x0512_sd.npz").write_bytes(b"latents")
    stamp = table_stamps.read(_write(table))
    assert list(stamp["files"]) == ["01_extracted_frames/v/dataset.toml"]


def test_what_a_job_writes_beside_its_table_is_pinned_by_whoever_made_and_whoever_reads_it(table):
    film = table.with_suffix(".linking.mkv")
    film.write_bytes(b"pictures")
    name, digest = f"01_extracted_frames/{film.name}", sha256_file(film)
    assert table_stamps.read(_write(table, others=[str(film)]))["files"] == {name: digest}
    reader = table_stamps.read(_write(table, inputs=[str(film)]))
    assert reader["inputs"] == {name: digest} and reader["other_inputs"] == {}


def test_any_flipped_bit_of_a_stamp_shows(table):
    path = _write(table)
    sound = path.read_bytes()
    for place in range(0, len(sound), 7):
        for bit in (0, 3, 5):
            broken = bytearray(sound)
            broken[place] ^= 1 << bit
            path.write_bytes(bytes(broken))
            with pytest.raises(table_stamps.StampError):
                table_stamps.read(path)


def test_two_stamps_of_the_same_state_are_the_same_bytes(table):
    first = _write(table).read_bytes()
    again = _write(table, settings={"fps": 2.0}).read_bytes()
    assert first == again
    assert _write(table, settings={"fps": 3.0}).read_bytes() != first
