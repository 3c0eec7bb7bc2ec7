"""Masks over HTTP: saved at the crop's own pixels, carried along the track, made by a segmenter."""

from __future__ import annotations

import asyncio
import base64
import sys
import time

import httpx
import numpy as np
import psutil
import pytest
from starlette.testclient import TestClient

from ferrari.common.atomic_files import sha256_path
from ferrari.dashboard import mask_api
from ferrari.dashboard.application import Doors, create_app
from ferrari.images import image_files
from ferrari.review import decision_table, decisions
from tests.unit.dashboard.served import TOKEN, URL, drop, set_in, undo
from tests.unit.matting import one_track
from tests.unit.matting.one_track import CROPS, alpha_of

HEADERS = {"X-Ferrari-Token": TOKEN, "Origin": URL}
CROP = CROPS[1]
MENDED = alpha_of(1, holder=False)


@pytest.fixture
def the_set(tmp_path):
    one_track.write(tmp_path / "dataset")
    return set_in(tmp_path)


@pytest.fixture
def client(the_set):
    return TestClient(create_app(the_set, TOKEN, Doors()), base_url=URL, headers=HEADERS)


def as_text(picture: np.ndarray) -> str:
    return base64.b64encode(image_files.encode_png(picture)).decode()


def pixels(text: str) -> np.ndarray:
    return image_files.decode(base64.b64decode(text))


def ask(client, target=CROP, **asked):
    return client.post("/api/propose-mask", json={"target": target, **asked})


def mask_row(saved: dict, target=CROP, **cells) -> dict[str, str]:
    known = {name: saved[name] for name in ("value", "target_sha256")}
    return drop(target, scope="cutout", decision="mask", **{**known, **cells})


def decide(client, *rows):
    return client.post("/api/decisions", json={"rows": list(rows)})


# --- a mask that somebody drew --------------------------------------------------------------------


def test_a_mask_is_saved_and_its_row_is_taken(client, the_set):
    saved = ask(client, png=as_text(MENDED)).json()
    file = the_set.dataset / saved["value"]
    assert (image_files.read(file) == MENDED).all() and sha256_path(file) == saved["sha256"]
    assert saved["value"] == f"review/masks/{CROP}-{saved['sha256'][:12]}.png"
    assert not decision_table.place(the_set.dataset).exists(), "nothing is decided by saving it"
    assert decide(client, mask_row(saved)).status_code == 200
    (row,) = decisions.load_for_run(the_set.dataset).rows
    assert (row.decision, row.target, row.value) == ("mask", CROP, saved["value"])


def test_what_browsers_and_editors_write_is_the_same_mask(client):
    rgba = np.dstack([MENDED, MENDED, MENDED, np.full_like(MENDED, 255)])
    assert ask(client, png=as_text(rgba)).json() == ask(client, png=as_text(MENDED)).json()


COLOURS = np.dstack([MENDED, MENDED, MENDED // 2])
UNFIT = {
    "size": ({"png": as_text(MENDED[:50])}, "the mask is 80x50 px, and the crop 80x100"),
    "colours": ({"png": as_text(COLOURS)}, "the mask has colours"),
    "no picture": ({"png": "aaaa"}, "the mask is no PNG"),
    "cut off": ({"png": as_text(MENDED)[:80]}, "the mask"),
    "no base64": ({"png": "a mask"}, "no base64"),
    "nothing": ({}, "ask with a png"),
    "both": ({"png": as_text(MENDED), "segmenter": "isnet"}, "ask with a png"),
    "a segmenter's neighbours": ({"segmenter": "isnet", "along_track": True}, "ask with a png"),
    "no crop": ({"target": "../../etc", "png": as_text(MENDED)}, "is no id of a crop"),
    "an image": ({"target": f"{CROP}-v0", "png": as_text(MENDED)}, "is no id of a crop"),
    "not there": ({"target": f"{CROP}9", "png": as_text(MENDED)}, "there is none of this id"),
    "other fields": ({"png": as_text(MENDED), "path": "/etc"}, "path"),
    "neighbours of another size": (
        {"png": as_text(MENDED[:50]), "along_track": True},
        "the mask's shape is (50, 80)",
    ),
    "neighbours of nobody": (
        {"target": f"{CROP}9", "png": as_text(MENDED), "along_track": True},
        "no cut-out that is kept",
    ),
}


@pytest.mark.parametrize(("asked", "said"), UNFIT.values(), ids=UNFIT.keys())
def test_what_does_not_fit_is_said_and_nothing_is_saved(client, the_set, asked, said):
    answer = ask(client, **asked)
    assert answer.status_code == 422 and said in answer.json()["error"]
    assert not (the_set.dataset / "review").exists()


def test_a_full_disk_is_said(client, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ferrari.review.mended.write_bytes", full)
    answer = ask(client, png=as_text(MENDED))
    assert answer.status_code == 507 and "No space left" in answer.json()["error"]


def test_a_row_whose_mask_is_not_there_or_does_not_fit_is_refused_for_good(client, the_set):
    """503 would have the page send it for ever."""
    saved = ask(client, png=as_text(MENDED)).json()
    gone = mask_row(saved, value=f"review/masks/{CROP}-{'0' * 12}.png")
    answer = decide(client, gone)
    assert answer.status_code == 422 and "cannot be read" in answer.json()["error"]
    file = the_set.dataset / saved["value"]
    sound = file.read_bytes()
    file.write_bytes(sound[:-1])
    answer = decide(client, mask_row(saved))
    assert answer.status_code == 422 and "is another now" in answer.json()["error"]
    file.write_bytes(sound)
    answer = decide(client, mask_row(saved, target_sha256=""))
    assert answer.status_code == 422 and "target_sha256 is needed" in answer.json()["error"]
    assert not decision_table.place(the_set.dataset).exists()


def test_a_person_goes_on_from_the_mask_that_is_in_force(client):
    def begun():
        return image_files.decode(client.get(f"/api/mask/{CROP}").content)

    assert (begun() == alpha_of(1)).all()
    saved = ask(client, png=as_text(MENDED)).json()
    assert (begun() == alpha_of(1)).all(), "saved, and not decided"
    row = mask_row(saved)
    decide(client, row)
    assert (begun() == MENDED).all()
    decide(client, undo(row))
    assert (begun() == alpha_of(1)).all()
    decide(client, mask_row(saved, target_sha256="0" * 64))
    assert (begun() == alpha_of(1)).all(), "it was drawn on other pixels"
    for name, status in ((f"{CROP}9", 404), ("nobody", 422)):
        assert client.get(f"/api/mask/{name}").status_code == status


# --- along the track ------------------------------------------------------------------------------


def test_a_change_is_proposed_for_the_neighbours_and_nothing_is_saved(client, the_set):
    answer = ask(client, png=as_text(MENDED), along_track=True)
    found = answer.json()["proposals"]
    assert [one["target"] for one in found] == [CROPS[2], CROPS[0], CROPS[3]]
    for one in found:
        number = CROPS.index(one["target"])
        off = np.abs(pixels(one["png"]).astype(int) - alpha_of(number, holder=False)) > 64
        assert off.mean() < 0.002 and one["changed_px"] > 100
        assert one["box_iou"] > 0.85 and one["alpha_iou"] > 0.95
    assert not (the_set.dataset / "review").exists()
    saved = ask(client, found[0]["target"], png=found[0]["png"])
    assert saved.status_code == 200, "accepted as it was proposed"
    assert ask(client, png=as_text(alpha_of(1)), along_track=True).json() == {"proposals": []}


# --- another segmenter ----------------------------------------------------------------------------

SLOW = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open("started", "w").write(str(child.pid))
time.sleep(60)
"""
WRITES = """
import pathlib, shutil, sys
words = dict(zip(sys.argv[2::2], sys.argv[3::2]))
shutil.copy("made.png", words["--out"])
pathlib.Path("words").write_text("\\n".join(sys.argv[1:]))
print("a warning", file=sys.stderr)
"""
SAYS = "import sys; print('it sees no subject', file=sys.stderr); sys.exit({status})"


@pytest.fixture
def tool(the_set, monkeypatch):
    """Puts a script in the tool's place; two segmenters are said to be at hand."""
    names = ["isnet", "u2net"]
    monkeypatch.setattr(mask_api.mask_proposals, "segmenters_at_hand", lambda config: names)

    def placed(text: str):
        path = the_set.work / "tool.py"
        path.write_text(text)
        monkeypatch.setattr(mask_api, "TOOL", path)

    return placed


def test_what_another_segmenter_makes_is_told_and_not_saved(client, the_set, tool):
    tool(WRITES)
    (the_set.work / "made.png").write_bytes(image_files.encode_png(MENDED))
    assert client.get("/api/segmenters").json() == {"segmenters": ["isnet", "u2net"]}
    answer = ask(client, segmenter="u2net")
    assert (pixels(answer.json()["png"]) == MENDED).all() and answer.json().keys() == {"png"}
    words = (the_set.work / "words").read_text().split("\n")
    assert words[:3] == [CROP, "--segmenter", "u2net"]
    assert words[-2:] == ["--config", str(the_set.config_files[0])]
    assert not (the_set.dataset / "review").exists()


def test_what_the_segmenter_says_is_the_answer(client, tool):
    for status, answered in ((1, 422), (2, 500)):
        tool(SAYS.format(status=status))
        answer = ask(client, segmenter="u2net")
        assert answer.status_code == answered and answer.json() == {"error": "it sees no subject"}
    tool("import os; os._exit(1)")
    assert "without a word" in ask(client, segmenter="u2net").json()["error"]


def test_a_segmenter_that_is_not_at_hand_starts_nothing(client, the_set, tool):
    tool(WRITES)
    answer = ask(client, segmenter="--out")
    assert answer.status_code == 422 and "these are: isnet, u2net" in answer.json()["error"]
    assert not (the_set.work / "words").exists()


def test_the_time_that_is_up_ends_all_that_was_started(client, the_set, tool, monkeypatch):
    tool(SLOW)
    monkeypatch.setattr(mask_api, "PATIENCE_S", 2.0)
    answer = ask(client, segmenter="u2net")
    assert answer.status_code == 422 and "no answer within 2 s" in answer.json()["error"]
    child = int((the_set.work / "started").read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie":
            break
        time.sleep(0.05)
    else:
        pytest.fail("what the segmenter started goes on")


def test_nothing_else_waits_for_a_segmenter(the_set, tool, monkeypatch):
    tool(SLOW)
    monkeypatch.setattr(mask_api, "PATIENCE_S", 20.0)
    app = create_app(the_set, TOKEN, Doors())

    async def asked() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=URL, headers=HEADERS) as client:
            body = {"target": CROP, "segmenter": "u2net"}
            slow = asyncio.create_task(client.post("/api/propose-mask", json=body))
            while not (the_set.work / "started").exists():
                await asyncio.sleep(0.02)
            body = {"target": CROP, "png": as_text(MENDED)}
            others = [
                await client.get("/api/decisions"),
                await client.post("/api/propose-mask", json=body),
            ]
            assert not slow.done()
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
            return [one.status_code for one in others]

    assert asyncio.run(asked()) == [200, 200]


def test_the_tool_is_where_it_is_looked_for():
    assert mask_api.TOOL.is_file() and sys.executable
