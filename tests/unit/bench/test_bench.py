"""The benchmark's own arithmetic, goals and results; and that a tiny run of it works."""

import json
import os
import re
import runpy
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import av
import numpy as np
import pytest

from bench import __main__ as bench_main
from bench import clips, gpu_check, measure, page, part_end_to_end, reference, results, stubs
from bench.__main__ import PARTS, arguments, part_file, reason_of, run_part
from bench.goals import GOALS, Goal
from bench.measure import Cost
from bench.results import Part, Row
from tests.generator.spec import ClipSpec

ROOT = Path(__file__).parents[3]
LOCK = (ROOT / "envs/bench.lock").read_text()


def costs(*walls: float) -> list[Cost]:
    return [Cost(wall, wall / 2) for wall in walls]


# --- ratios ---------------------------------------------------------------------------------------


def test_a_ratio_is_made_within_a_repeat_and_its_median_counts():
    """The machine slows down threefold for the second repeat: the ratio does not notice."""
    ratio = measure.ratio(costs(2.0, 6.0, 2.2), costs(1.0, 3.0, 1.0))
    assert ratio.wall == 2.0 and (ratio.low, ratio.high) == (2.0, 2.2)
    assert ratio.cpu == 2.0


def test_ratios_need_as_many_repeats_of_both():
    with pytest.raises(ValueError):
        measure.ratio(costs(1.0), costs(1.0, 2.0))


def test_the_median_of_nothing_is_an_error():
    assert measure.median([3, 1, 2]) == 2
    with pytest.raises(ValueError, match="no values"):
        measure.median([])


def test_contenders_take_turns_and_the_order_turns_too():
    order = []
    contenders = {
        name: lambda name=name: order.append(name) or Cost(1.0, 1.0) for name in ("a", "b")
    }
    found = measure.by_turns(3, contenders, log=lambda _: None)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(values) for name, values in found.items()} == {"a": 3, "b": 3}


def test_a_command_s_children_count_even_those_that_leave_it():
    """A detached process's CPU time and memory are the command's, and it is ended with it."""
    spin = (
        "x = bytearray(60 << 20); import time\n"
        "while time.process_time() < 0.4: 0\n"
        "print(flush=True); time.sleep(60)"
    )
    code = (
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {spin!r}], "
        "start_new_session=True, stdout=subprocess.PIPE).stdout.readline()"
    )
    start = time.monotonic()
    cost = measure.run([sys.executable, "-c", code])
    assert time.monotonic() - start < 20
    assert cost.cpu_s > 0.35 and cost.peak_mb > 60


LOST = """
import os, time

def burn(seconds):
    while time.process_time() < seconds:
        pass

reader, writer = os.pipe()
if not os.fork():
    os.setsid()
    model = os.fork()
    if not model:
        burn(0.6)
        os._exit(0)
    os.waitid(os.P_PID, model, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped
    os.write(writer, b"e")
    {then}
os.read(reader, 1)
"""


@pytest.mark.parametrize("then", ["time.sleep(60)", "os._exit(0)", "burn(60)"])
def test_cpu_time_counts_of_what_a_server_has_not_reaped_when_the_command_ends(then):
    """A run's fork server ends its models when the run has ended: then they had cost nothing."""
    cost = measure.run([sys.executable, "-c", LOST.replace("{then}", then)], limit_s=30)
    assert cost.cpu_s > 0.55


def test_a_command_that_fails_or_hangs_says_so():
    with pytest.raises(measure.CommandFailedError, match=r"exit status 3\n(?s:.*)oh no"):
        measure.run(["sh", "-c", "echo oh no; exit 3"])
    with pytest.raises(measure.CommandFailedError, match="past its limit"):
        measure.run(["sleep", "30"], limit_s=0.1)
    with pytest.raises(measure.CommandFailedError, match="exit status 127"):
        measure.run(["no-such-command-here"])


# --- goals and results ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sense", "figure", "met"),
    [(">=", 2.5, True), (">=", 2.49, False), ("<=", 2.5, True), ("<=", 2.51, False)],
)
def test_a_goal_is_met_from_its_bound_on(sense, figure, met):
    assert Goal("x", sense, 2.5, "2.5").met(figure) is met


def test_every_goal_is_judged_by_some_part():
    source = "".join(path.read_text() for path in (ROOT / "bench").glob("part_*.py"))
    named = set(re.findall(r'"([a-z_]+)"', source)) | {
        f"{key}_{unit}" for key in ("dry_run", "no_op") for unit in ("s", "gb", "over_bare")
    }
    assert set(GOALS) <= named


def sample_part() -> Part:
    row = results.throughput_row(
        "720p", "frames/s", 100, costs(1.0, 2.0), "ffmpeg chain", costs(2.5, 5.0), costs(0.5, 1.0)
    )
    row.figures = {"extraction_ratio": row.ratio, "extraction_floor": row.over_floor}
    part = Part("extraction", rows=[row], seconds=1.23, notes=["a <b>note</b>"])
    part.keep("720p", {"ours": costs(1.0, 2.0)})
    return part


def test_a_throughput_row_has_ratios_and_the_distance_to_the_floor():
    (row,) = sample_part().rows
    assert row.ours == pytest.approx(100 / 1.5)
    assert (row.ratio, row.over_floor) == (2.5, 2.0)
    assert row.verdicts() == {"extraction_ratio": True, "extraction_floor": False}


def test_results_come_back_as_they_were_saved(tmp_path):
    failed = Part("masks", results.FAILED, "ValueError: no")
    file = tmp_path / "results.json"
    results.save(file, {"cores": 2}, {"quick": True}, [sample_part(), failed])
    machine, options, parts = results.load(file)
    assert (machine, options) == ({"cores": 2}, {"quick": True})
    assert [part.status for part in parts] == ["ok", "failed"]
    assert parts[0].rows[0].ratio == 2.5
    assert {field.name for field in fields(Row)} == set(
        json.loads(file.read_text())["parts"][0]["rows"][0]
    )
    data = json.loads(file.read_text()) | {"schema": 0}
    file.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="schema 0"):
        results.load(file)


def test_the_table_says_what_was_met_and_what_failed():
    text = results.table([sample_part(), Part("masks", results.FAILED, "ValueError: no\nmore")])
    assert "2.5x" in text and "yes; NO" in text
    assert "MASKS  (failed, 0 s): ValueError: no" in text


def test_the_page_holds_figures_and_plots_and_reaches_for_nothing():
    machine = {"cpu": "x", "cores": 2, "memory_gb": 8, "system": "L", "python": "3"}
    machine |= {"versions": {"av": "1"}, "peers": {}}
    html = page.page(machine, {"quick": True, "repeats": 1}, [sample_part()])
    assert "a &lt;b&gt;note&lt;/b&gt;" in html and "chart-specs" in html
    markup = re.sub(r"<script>.*?</script>", "", html, flags=re.S)
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:|#)", markup)


def test_a_goal_that_was_not_measured_is_not_called_missed():
    lines = {line["what"]: line["status"] for line in page.goal_lines([sample_part()])}
    assert lines[GOALS["extraction_ratio"].what] == "PASS"
    assert lines[GOALS["masks_ratio"].what] == "not measured"


# --- correctness ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "same"),
    [
        ([[0, 0, 100, 100], [200, 0, 300, 100]], True),
        ([[200, 0, 300, 100], [0, 0, 100, 100.5]], True),
        ([[0, 0, 100, 100]], False),
        ([[0, 0, 100, 100], [200, 0, 300, 90]], False),
        ([[0, 0, 100, 100], [200, 0, 300, 100], [0, 0, 9, 9]], False),
    ],
)
def test_boxes_are_the_same_if_each_has_one_of_its_own(theirs, same):
    ours = [[0, 0, 100, 100], [200, 0, 300, 100]]
    assert reference.same_boxes(ours, theirs) is same


def test_no_box_is_the_same_as_no_box():
    assert reference.same_boxes([], []) and not reference.same_boxes([], [[0, 0, 1, 1]])


def made(wall: float, cut: int) -> list[Cost]:
    return [Cost(wall, wall, said={"frames": 100, "cut": cut})]


@pytest.mark.parametrize(
    ("cut", "ratio", "judged"),
    [(100, 4.0, True), (91, 4.0, True), (89, None, False), (0, None, False)],
)
def test_end_to_end_has_no_ratio_where_less_was_made(cut, ratio, judged):
    """The chain made 100 cut-outs and ours 58, of the subject alone: "5.71x", and the goal met."""
    costs = {"anybody's": made(50.0, cut), "ffmpeg + yolo + rembg": made(200.0, 100)}
    (row,) = part_end_to_end._rows(costs, 20, whole=True)
    assert row.ratio == ratio and ("end_to_end_ratio" in row.figures) is judged
    assert f"({cut} of 100 frames)" in row.what and "(100 of 100 frames)" in row.peer_name
    assert bool(row.note) is not judged


def test_matte_errors_by_hand():
    truth = np.zeros((10, 10), np.uint8)
    alpha = truth.copy()
    alpha[0, :5] = 255
    assert reference.matte_error(alpha, truth) == (pytest.approx(0.005), pytest.approx(0.05))


# --- clips and stubs ------------------------------------------------------------------------------


def test_repeated_clips_run_on_without_a_jump(tmp_path):
    spec = ClipSpec(seed=1, width=160, height=120, n_frames=20, figures=())
    ten = tmp_path / "one.mp4"
    clips._write(ten, spec, 30)
    long = clips.repeated(ten, tmp_path, 3)
    with av.open(str(long)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.has_b_frames
    times = [float(frame.time) for frame in frames]
    assert len(frames) == 60 == clips.count_frames(long)
    assert np.allclose(np.diff(times), 1 / 25)
    assert {int(frame.pict_type) for frame in frames} >= {1, 2, 3}  # I, P, B


def test_a_job_over_all_videos_gets_the_new_ones_as_inputs():
    record = {"input": ["environments.csv", "m/a.csv"], "input_checksums": {"m/a.csv": "1"}}
    wide = stubs._widened(record, "a", ["b", "c"])
    assert wide["input"] == ["environments.csv", "m/a.csv", "m/b.csv", "m/c.csv"]
    assert set(wide["input_checksums"]) == {"m/a.csv", "m/b.csv", "m/c.csv"}


# --- the command ----------------------------------------------------------------------------------


def test_only_takes_parts_in_their_order():
    assert arguments(["--only", "masks,extraction"]).only == ["extraction", "masks"]
    assert arguments([]).only == list(PARTS)


@pytest.mark.parametrize("parse, known", [(arguments, "masks"), (gpu_check.arguments, "clips")])
@pytest.mark.parametrize("asked", ["{},speed", "speed", "", ","])
def test_only_refuses_what_it_does_not_know_and_says_what_there_is(parse, known, asked, capsys):
    with pytest.raises(SystemExit):
        parse(["--only", asked.format(known)])
    said = capsys.readouterr().err
    assert "argument --only: takes some of" in said and known in said


def test_a_quick_look_leaves_the_figures_of_a_full_run_alone():
    assert arguments([]).out == ROOT / "bench"
    assert arguments(["--quick"]).out == arguments(["--only", "masks"]).out == ROOT / "bench/work"


def test_reasons_are_the_last_error_without_the_machine_s_folders():
    text = "Traceback:\n  File x\nValueError: first\nOSError: /srv/a/b/file.mp4 is gone\nand so on"
    assert reason_of(text) == "OSError: file.mp4 is gone\nand so on"
    assert reason_of("") == "no reason given"


def test_a_part_that_crashes_is_a_failed_part(tmp_path, capsys):
    options = arguments(["--work", str(tmp_path), "--quick", "--repeats", "0"])
    part = run_part("memory_that_is_none", options)
    assert part.status == results.FAILED and "memory_that_is_none" in part.reason
    assert capsys.readouterr().err


def test_a_part_that_fails_half_way_keeps_the_rows_it_had(tmp_path, monkeypatch, capsys):
    options = arguments(["--work", str(tmp_path)])

    def dies(*_, **__):
        file = part_file(tmp_path, "orchestration")
        file.write_text(json.dumps(results.part_json(sample_part())))
        return subprocess.CompletedProcess([], 1, stderr="Traceback\nOSError: no space left")

    monkeypatch.setattr(subprocess, "run", dies)
    part = run_part("orchestration", options)
    assert (part.status, part.reason) == (results.FAILED, "OSError: no space left")
    assert [row.what for row in part.rows] == ["720p"]
    assert "no space left" in capsys.readouterr().err


def test_a_folder_for_the_results_is_made_before_anything_is_measured(tmp_path, monkeypatch):
    """Once hours of measuring ended in a folder that was not there."""
    out = tmp_path / "new/one"
    monkeypatch.setattr(bench_main, "run_part", lambda name, options: results.Part(name))
    assert bench_main.main(["--work", str(tmp_path / "work"), "--out", str(out)]) in (0, 1)
    assert (out / "results.json").is_file() and (out / "results.html").is_file()


def test_a_quick_extraction_of_a_second(tmp_path, monkeypatch):
    """One clip, no ffmpeg, no real footage: our frames are the plain reading's."""
    from bench import part_extraction, peers
    from bench.prepare import Bench

    raw = tmp_path / "a clip.mp4"
    clips._write(raw, ClipSpec(seed=3, width=320, height=240, n_frames=25, pan_px_s=400), 23)
    monkeypatch.setattr(peers, "BENCH_PYTHON", tmp_path / "none")
    monkeypatch.setattr(peers, "people_clips", list)
    monkeypatch.setattr(clips, "footage", lambda *_: [clips.Group("one", (raw,))])
    peers.ffmpeg.cache_clear()
    part = part_extraction.measure(Bench(tmp_path, 1, True, lambda _: None))
    assert part.rows[0].figures["extraction_same"] == 1.0
    assert "extraction_ratio" not in part.rows[0].figures
    assert {row.peer_name for row in part.rows[1:]} == {"decord get_batch", "PyAV full decode"}


def test_the_bench_calls_stage_2_as_it_is_now(tmp_path):
    """An output that `detect` had gained ended the parts that detect and mask, unseen for days."""
    from bench import prepare, tasks

    raw, dataset = tmp_path / "one.mp4", tmp_path / "set"
    clips._write(raw, ClipSpec(seed=3, width=320, height=240, n_frames=13, pan_px_s=400), 23)
    prepare.probed(dataset, [raw])
    settings = prepare.extract_settings(fps=4.0, duplicate_delta=0.0)
    tasks.TASKS["extract"]([str(raw)], str(dataset), settings, 1)()
    (table,) = (dataset / "01_extracted_frames").glob("*.csv")
    network = ROOT / "models/demo/person-seg_openvino_model"
    settings = prepare.detect_settings(network, 320)
    tasks.TASKS["crop"](str(dataset), str(network), settings, "cache", 1, [str(table)])()
    assert (dataset / f"02_yolo_crops/{table.name}").is_file()


def test_a_finished_set_grows_by_copies_that_its_tables_know(tmp_path):
    from bench import many_clips
    from ferrari.ledger import item_ids, raw_folder

    raw, tables = tmp_path / "00_raw_videos", tmp_path / "04_augmented"
    seed, copy = item_ids.video_id("a b.mp4"), item_ids.video_id("copy_000000.mp4")
    (tables / seed).mkdir(parents=True)
    raw.mkdir()
    (raw / "a b.mp4").write_bytes(b"clip")
    os.utime(raw / "a b.mp4", (1, 1))
    (tables / seed / f"{seed}-f000000-p0-v0.png").write_bytes(b"picture")
    line = f"{seed}-f000000-p0-v0,kept,04_augmented/{seed}/{seed}-f000000-p0-v0.png,{'a' * 64}"
    (tables / f"{seed}.csv").write_text(f"item,outcome,path,sha256\n{line}\n")
    many_clips.grow(tmp_path, 2)
    item, outcome, path, digest = (tables / f"{copy}.csv").read_text().splitlines()[1].split(",")
    assert (item, outcome) == (f"{copy}-f000000-p0-v0", "kept")
    assert (tmp_path / path).read_bytes() == b"picture" and len(set(digest)) > 1
    assert len(raw_folder.look_through(raw).videos) == 3
    assert (raw / "a b.mp4").stat().st_mtime == 1, "a clip that changed would be read again"
    many_clips.grow(tmp_path, 1, first=2)
    assert len(raw_folder.look_through(raw).videos) == 4


def test_records_of_a_bare_graph_are_those_that_snakemake_writes(tmp_path):
    """Of two videos: one's own, one copied; with them a run finds nothing to do."""
    from bench import bare

    bare.write(tmp_path, 2)
    bare.record(tmp_path, 2)
    bare.finish(tmp_path, 2)
    done = measure.run(bare.snakemake("--cores", "1"), cwd=tmp_path)
    assert "Nothing to be done" in done.said["output"]
    bare.finish(tmp_path, 3)
    record = bare.record_file(tmp_path, f"s2/{bare._video(1)}")
    known = json.loads(record.read_text())
    assert known["input"] == [f"s1/{bare._video(1)}"] and known["rule"] == "s2"


# --- the lock -------------------------------------------------------------------------------------


def test_the_bench_s_lock_has_hashes_and_no_address():
    pins = re.split(r"^(?=[a-z0-9])", LOCK, flags=re.M)[1:]
    assert len(pins) > 10 and all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in LOCK and "index-url" not in LOCK


@pytest.mark.parametrize(
    ("named", "folder"), [("", "../shared"), ("real", "real"), ("/mnt/real", "/mnt/real")]
)
def test_the_shared_folder_is_where_the_variable_says_from_the_checkout_on(
    monkeypatch, named, folder
):
    """An empty one was the checkout itself."""
    monkeypatch.setenv("FERRARI_SHARED", named)
    asked = runpy.run_path(str(ROOT / "tests/shared.py"))
    assert asked["SHARED"] == (ROOT / folder).resolve()


def test_peers_stay_out_of_the_pipeline_s_lock():
    lines = (ROOT / "envs/bench.in").read_text().splitlines()
    wanted = [re.match(r"[\w-]+", line)[0] for line in lines if line and line[0] != "#"]
    ours = (ROOT / "envs/requirements.lock").read_text()
    for name in wanted:
        assert re.search(rf"^{name}==", LOCK, re.M), name
        assert not re.search(rf"^{name}==", ours, re.M), name


def test_the_chain_is_sound_shell():
    subprocess.run(["sh", "-n", str(ROOT / "bench/chain.sh")], check=True)
