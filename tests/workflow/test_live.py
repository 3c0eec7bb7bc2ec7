"""The live page before a real run: read while it goes, looked at in a browser."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI

from ferrari.dashboard import live_routes, trace_routes
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.dashboard.run_control import RunControl
from ferrari.dashboard.run_state import RunState
from ferrari.ledger import tables
from ferrari.ledger.stages import FINAL_CSV, FOLDERS
from tests.workflow import browser
from tests.workflow.demo_run import Demo

pytestmark = pytest.mark.timeout(600)
SLEEP = (sys.executable, "-c", "import time; print('it looks', flush=True); time.sleep(60)")


def set_of(run: Demo) -> ReviewedSet:
    dataset = run.dataset
    return ReviewedSet(
        **{"work": run.folder, "dataset": dataset, "qc": run.folder / "qc_reports", "cores": 2},
        **{"raw": dataset / "00_raw_videos", "who": "ana"},
        config_files=tuple(map(run.folder.joinpath, run.configs)),
    )


def taken_back(small: Demo, folder) -> Demo:
    """The finished small run, of which a clip's cut-outs are to be made again."""
    run = small.copy(folder)
    next(table for table in sorted((run.dataset / FOLDERS["mask"]).glob("w*.csv"))).unlink()
    return run


@contextlib.contextmanager
def server(the_set: ReviewedSet, control: RunControl) -> Iterator[str]:
    """The routes on a port of this machine; their address. Who may ask is another matter's."""
    app = FastAPI()
    app.state.set, app.state.token = the_set, ""
    app.state.live = live_routes.Live(control, RunState(the_set, control))
    app.include_router(live_routes.router)
    app.include_router(trace_routes.router)
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()


def test_a_run_is_seen_as_it_goes(small, tmp_path):
    """`snakemake` as anybody types it, with nothing on its terminal."""
    run = taken_back(small, tmp_path / "run")
    the_set = set_of(run)
    watch = RunState(the_set, RunControl(the_set))
    process = subprocess.Popen(
        run.command("--cores", "2", "--quiet", "all"), cwd=run.folder, stderr=subprocess.DEVNULL
    )
    seen = []
    while process.poll() is None:
        seen.append(watch.state())
        time.sleep(0.1)
    time.sleep(1.1)
    last = watch.state()
    assert process.returncode == 0 and last["phase"] == "success"
    at_work = [state for state in seen if state["phase"] == "running"]
    of_clips = {job["title"]: job["of"] for state in at_work for job in state["now"]}
    assert of_clips["Cut-outs"] in ("walk one.mp4", "wave_two.mp4")
    done = [state["run"]["done"] for state in at_work]
    assert done == sorted(done) and len(set(done)) > 1
    assert any(state["pace"]["left_s"] is not None for state in at_work)
    waiting = [
        one["waiting"] for state in at_work for one in state["ledger"] if one["stage"] == "mask"
    ]
    assert max(waiting) > 0 and waiting[-1] == 0
    assert last["run"]["planned"] == last["run"]["done"] > 10
    of_clip = {one["stage"]: one["planned"] for one in last["stages"]}
    assert (of_clip["mask"], of_clip["augment"], of_clip["caption"]) == (1, 1, 1)
    assert "A run is at work" in at_work[-1]["why_not"] and last["why_not"] == ""


def test_the_sums_are_those_of_the_tables(small):
    the_set = set_of(small)
    state = RunState(the_set, RunControl(the_set)).state()
    assert state["uncounted"] == 0 and not state["damaged"]
    for one in state["ledger"]:
        paths = [small.dataset / FINAL_CSV]
        if one["stage"] in FOLDERS:
            paths = list((small.dataset / FOLDERS[one["stage"]]).glob("*.csv"))
        rows = [row for path in paths for row in tables.read_table(path)]
        for outcome in ("kept", "dropped", "quarantined"):
            assert one[outcome] == sum(row["outcome"] == outcome for row in rows), one["stage"]
        assert (one["lost"], one["waiting"], one["considered"]) == (0, 0, len(rows))
    (refused,) = (one for one in state["refused"] if one["stage"] == "Raw videos")
    assert refused["reason"] == "LOW_RESOLUTION" and refused["rows"] == 1


def test_the_pages_in_a_browser(small, tmp_path):
    image = tables.read_table(small.dataset / FINAL_CSV)[0]["item"]
    the_set = set_of(small)
    with server(the_set, RunControl(the_set, lambda *_: SLEEP)) as address:
        for path, ready in (("/live", "#sums tr"), (f"/trace/{image}", ".step")):
            faults = browser.ask("served", f"{address}{path}", str(tmp_path / "shots"), ready)
            # Pictures are another part's to serve, and are not here.
            assert [fault for fault in faults if "404" not in fault] == []


def test_the_button_starts_a_run_and_the_page_shows_it(small):
    the_set = set_of(small)
    control = RunControl(the_set, lambda *_: SLEEP)
    ready = "#log:has-text('it looks')"
    with server(the_set, control) as address:
        try:
            text = browser.ask_once("press", f"{address}/live", "[data-start=dry]", ready)
        finally:
            control.last.process.kill()
            control.last.process.wait()
    assert "A dry run was started here" in text and "still going" in text
