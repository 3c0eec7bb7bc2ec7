"""Stage 0: every file gets its verdict, and what is refused is kept aside."""

import os
from fractions import Fraction

import pytest

from ferrari.ledger import tables
from ferrari.video.raw_files import RawFileChangedError
from tests.generator import faults, oddities
from tests.generator.spec import ClipSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=20, fps="25", gop=10)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


@pytest.mark.parametrize(
    "write",
    [
        faults.good,
        faults.truncated,
        faults.zero_duration,
        faults.one_frame,
        faults.odd_size,
        oddities.variable_rate,
        oddities.hour_gap,
        oddities.anamorphic,
        oddities.hevc_10bit,
        oddities.hdr_pq,
        oddities.interlaced,
        oddities.damaged,
    ],
    ids=lambda write: write.__name__,
)
def test_verdict_is_the_planted_one(run, tmp_path, write):
    truth = write(tmp_path / "clip.mp4", SPEC)
    row = run.probe(truth.path)
    assert row["reason"] == truth.verdict, row["detail"]
    assert (row["outcome"] == "kept") is (truth.verdict == "OK")


def test_files_that_are_no_clips(run, tmp_path):
    assert run.probe(faults.garbage(tmp_path / "g.mp4", 1).path)["reason"] == "CORRUPT_CONTAINER"
    page = run.probe(faults.html(tmp_path / "page.mp4").path)
    assert page["reason"] == "NOT_A_VIDEO" and "HTML" in page["detail"]
    assert run.probe(faults.audio_only(tmp_path / "a.mp4", 0.2).path)["reason"] == "NO_VIDEO_STREAM"
    (tmp_path / "empty.mp4").touch()
    assert run.probe(tmp_path / "empty.mp4")["reason"] == "CORRUPT_CONTAINER"


def test_what_is_no_readable_file_is_a_row(run, tmp_path):
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mp4")
    for name in ("gone.mp4", "pipe.mp4"):
        row = run.probe(tmp_path / name)
        assert (row["reason"], row["path"]) == ("UNREADABLE", "")


def test_special_files_are_rows_and_nothing_waits_or_is_copied(run, tmp_path):
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "null.mp4").symlink_to("/dev/null")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "to-pipe.mp4").symlink_to("pipe.mp4")
    for name in ("loop", "folder", "null", "zero", "to-pipe"):
        row = run.probe(tmp_path / f"{name}.mp4")
        assert (row["reason"], row["path"], row["sha256"]) == ("UNREADABLE", "", ""), name
        assert run.extract_probed(tmp_path / f"{name}.mp4") == []


def test_a_link_out_of_the_folder_is_followed(run, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.mp4").symlink_to(faults.good(tmp_path / "elsewhere.mp4", SPEC).path)
    assert run.probe(raw / "a.mp4")["reason"] == "OK"
    assert tables.kept(run.extract_probed(raw / "a.mp4"))


def test_a_file_that_went_away_is_an_error_that_says_what_to_do(run, tmp_path):
    with pytest.raises(RawFileChangedError, match=r"is gone.*Put it back or leave it out"):
        run.probe(tmp_path / "was here.mp4")


@pytest.mark.parametrize("how", ["grows", "goes", "becomes a FIFO"])
def test_a_file_that_changes_while_it_is_looked_at_is_never_taken(run, tmp_path, monkeypatch, how):
    from ferrari.video import probing

    path, look = faults.good(tmp_path / "a.mp4", SPEC).path, probing.look

    def change(*arguments):
        seen = look(*arguments)
        if how == "grows":
            with open(path, "ab") as stream:
                stream.write(b"more")
        else:
            path.unlink()
            _ = os.mkfifo(path) if "FIFO" in how else None
        return seen

    monkeypatch.setattr(probing, "look", change)
    if how == "goes":
        with pytest.raises(RawFileChangedError, match="is gone"):
            run.probe(path)
        return
    row = run.probe(path)
    assert (row["reason"], row["sha256"]) == ("UNREADABLE", "") and "changed" in row["detail"]


def test_a_playlist_opens_nothing(run, tmp_path):
    faults.good(tmp_path / "secret.ts", SPEC)
    lines = "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(lines)
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile secret.ts\n")
    for name in ("list.m3u8", "list.ffconcat"):
        assert run.probe(tmp_path / name)["reason"] in ("NOT_A_VIDEO", "CORRUPT_CONTAINER")


def test_resolution_is_judged_as_shown(run, tmp_path):
    truth = oddities.anamorphic(tmp_path / "wide.mp4", SPEC)
    seen = run.probe(truth.path, min_short_side=120)
    assert (seen["coded_width"], seen["width"], seen["height"]) == ("80", "160", "120")
    low = run.probe(truth.path, min_short_side=121)
    assert (low["reason"], low["value"], low["threshold"]) == ("LOW_RESOLUTION", "120", "121")
    turned = run.probe(oddities.rotated(tmp_path / "turned.mp4", SPEC, 90).path)
    # stored turned by 90 degrees: shown as the spec's own size
    assert (turned["rotation"], turned["width"], turned["height"]) == ("90", "160", "120")


def test_facts_come_from_the_data(run, tmp_path):
    row = run.probe(oddities.hour_gap(tmp_path / "gap.mkv", SPEC).path)
    assert float(row["duration_s"]) == pytest.approx(0.8, abs=0.06)
    assert float(row["largest_gap_s"]) == pytest.approx(3600, abs=0.1)
    row = run.probe(faults.good(tmp_path / "good.mp4", SPEC).path)
    assert (row["frames"], float(row["fps"])) == ("20", float(Fraction(SPEC.fps)))


def test_refused_files_lie_under_their_verdict_and_the_raw_file_stays(run, tmp_path):
    raw = faults.garbage(tmp_path / "-rf '\"; é.MP4", 1).path
    before = raw.read_bytes()
    row = run.probe(raw)
    copy = run.dataset / row["path"]
    assert copy.parent.name == "CORRUPT_CONTAINER" and copy.suffix == ".mp4"
    assert copy.read_bytes() == before == raw.read_bytes()


def test_a_crash_in_the_decoder_is_a_verdict(run, tmp_path, monkeypatch):
    from ferrari.video import probing

    truth = faults.good(tmp_path / "good.mp4", SPEC)
    monkeypatch.setattr(probing, "look", lambda *_: os.abort())
    row = run.probe(truth.path)
    assert row["reason"] == "DECODER_CRASHED" and "SIGABRT" in row["detail"]
