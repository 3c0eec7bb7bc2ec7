"""What a damaged clip lost, in rows of its table and in QC3; what a sound clip did not lose."""

import pandas as pd
import pytest

import qc_extracted_frames
from ferrari.ledger import tables
from ferrari.reports.checks import PASS, WARN
from tests.generator import faults, oddities
from tests.generator.encode import encoding_of, write_clip
from tests.generator.spec import ClipSpec, FigureSpec
from tests.stage.clip_run import Run

SPEC = ClipSpec(
    seed=3, width=128, height=96, fps="25", n_frames=75, gop=25, b_frames=2,
    figures=(FigureSpec(seed=5, framing="half", motion="wave"),),
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path / "dataset")


def spans(rows):
    return [row for row in rows if row["reason"] == "LOST_SPAN"]


def cut(path, spec, share, **changed):
    from dataclasses import replace

    write_clip(spec, path, replace(encoding_of(spec), **changed))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def test_damage_in_the_middle_is_lost_from_its_first_frame_to_the_next_key(run, tmp_path):
    truth = oddities.damaged(tmp_path / "d.mp4", SPEC)
    first, last = truth.facts["spoilt_frames"]
    (span,) = spans(run.extract(truth.path, fps=12.5))
    assert float(span["time_s"]) == pytest.approx(first / 25, abs=0.001)
    assert float(span["value"]) == pytest.approx((last - first) / 25, abs=0.001)
    assert (span["outcome"], span["path"], span["sha256"]) == ("quarantined", "", "")
    assert span["item"] == f"{span['parent']}-lost000"
    assert f"to {last / 25:.3f} s" in span["detail"] and "first error: " in span["detail"]


@pytest.mark.parametrize(
    ("name", "changed", "evidence"),
    [
        ("i.mp4", {"container_options": {"movflags": "faststart"}}, "the index, which lists"),
        ("t.mkv", {}, "the stream's duration tag"),
        ("h.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {}, "b_frames": 0},
         "the header, which counts 75 frames"),
        ("c.flv", {}, "the container's duration"),
    ],
)  # fmt: skip
def test_the_tail_of_a_cut_file_is_lost_by_its_own_account(run, tmp_path, name, changed, evidence):
    rows = run.extract(cut(tmp_path / name, SPEC, 0.6, **changed), fps=25)
    (span,) = spans(rows)
    last = max(float(row["time_s"]) for row in tables.kept(rows))
    assert float(span["time_s"]) == pytest.approx(last + 0.04, abs=0.05)
    assert float(span["time_s"]) + float(span["value"]) == pytest.approx(3.0, abs=0.1)
    assert evidence in span["detail"]


def test_a_cut_transport_stream_promises_nothing(run, tmp_path):
    found = spans(run.extract(cut(tmp_path / "c.ts", SPEC, 0.6), fps=25))
    assert sum(float(span["value"]) for span in found) < 0.2


@pytest.mark.parametrize(
    "write", [faults.good, oddities.variable_rate, oddities.hour_gap, oddities.interlaced]
)
def test_a_sound_clip_lost_nothing(run, tmp_path, write):
    rows = run.extract(write(tmp_path / "clip.mkv", SPEC).path, fps=25)
    assert spans(rows) == [] and {row["outcome"] for row in rows} <= {"kept", "dropped"}


def test_frames_lost_before_a_key_frame_are_a_span_though_none_came_out(run, tmp_path):
    import av

    path = faults.good(tmp_path / "k.mkv", ClipSpec(**{**SPEC.__dict__, "b_frames": 0})).path
    with av.open(str(path)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    for packet in packets[22:25]:  # up to the key frame 25: nothing to decode is left in them
        start = data.index(packet)
        data[start : start + len(packet)] = b"\xff" * len(packet)
    path.write_bytes(data)
    rows = run.extract(path, fps=25)
    (span,) = spans(rows)
    assert (float(span["time_s"]), float(span["value"])) == pytest.approx((0.88, 0.12), abs=0.001)
    assert "25" in {row["frame"] for row in tables.kept(rows)} or len(tables.kept(rows)) >= 60


def test_a_damaged_key_frame_that_is_patched_up_cleans_nothing(run, tmp_path):
    """The decoder shows it, flagged as a key frame, after its error and behind other frames."""
    import av

    path = faults.good(tmp_path / "k.mp4", SPEC).path
    with av.open(str(path)) as container:
        keys = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.is_keyframe]
    data = bytearray(path.read_bytes())
    position, size = keys[1]
    for place in range(position + size // 2, position + size, 40):
        data[place] ^= 0x55
    path.write_bytes(data)
    rows = run.extract(path, fps=25)
    assert spans(rows)
    kept = [round(float(row["time_s"]) * 25) for row in tables.kept(rows)]
    assert not [index for index in kept if 25 <= index < 50] and max(kept) >= 50


def test_times_hold_to_the_last_frame(run, tmp_path):
    rows = run.extract(faults.good(tmp_path / "a.mp4", SPEC).path, fps=25)
    assert [round(float(row["time_s"]) * 25, 3) for row in rows] == list(range(75))


def test_qc3_adds_up_what_is_lost_and_names_the_clips(run, tmp_path):
    damaged = run.extract(oddities.damaged(tmp_path / "d.mp4", SPEC).path)
    sound = run.extract(faults.good(tmp_path / "s.mp4", SPEC).path)
    rows = pd.DataFrame([*damaged, *sound])
    rows["video"] = rows["parent"]
    for name in ("value", "noise_change", "time_s", "sharpness", "decode_errors"):
        rows[name] = pd.to_numeric(rows[name])
    ids = sorted(set(rows["parent"]))
    probe = pd.DataFrame({"video": ids, "fps": 25.0, "duration_s": 3.0, "largest_gap_s": 0.0})
    videos = qc_extracted_frames.per_clip(rows, probe, ids, {"fps": 2.0}).set_index("video")
    (span,) = spans(damaged)
    assert videos["lost_s"].to_dict() == {
        damaged[0]["parent"]: pytest.approx(float(span["value"]), abs=0.001),
        sound[0]["parent"]: 0,
    }
    assert videos["samples"].sum() == len(damaged) + len(sound) - 1, "a span is no sample"
    assert videos["in_order"].all()
    check = qc_extracted_frames.lost_check(videos.reset_index(), rows)
    assert (check.status, check.rows) == (WARN, (damaged[0]["parent"],))
    none = qc_extracted_frames.lost_check(videos.reset_index().tail(0), rows.tail(0))
    assert none.status == PASS


def test_frames_without_the_key_frame_that_they_build_on_are_not_kept(run, tmp_path):
    import av

    whole = write_mpeg4(tmp_path / "whole.avi")
    path = tmp_path / "headless.avi"
    with av.open(str(whole)) as source, av.open(str(path), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size and number:
                packet.stream = stream
                sink.mux(packet)
    rows = run.extract(path, fps=25)
    assert [row["reason"] for row in rows[:24]] == ["DECODE_DAMAGE"] * 24
    assert len(tables.kept(rows)) >= 45
    (span,) = spans(rows)
    assert 0.95 < float(span["value"]) < 1.01  # AVI keeps the place of the one that is missing


def write_mpeg4(path):
    from dataclasses import replace

    encoding = replace(encoding_of(SPEC), codec="mpeg4", options={"qscale": "3"}, b_frames=0)
    return write_clip(SPEC, path, encoding)
