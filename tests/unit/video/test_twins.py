"""A small copy of another clip: its name says of which, length and size prove it."""

from __future__ import annotations

import pytest

from ferrari.video import twins
from ferrari.video.clip_verdicts import final_verdicts


def named(*files):
    """`named_twins` of files whose ids are their paths."""
    return twins.named_twins({file: file for file in files})


def probe(file, width=1920, height=1080, duration_s="10.01", outcome="kept", **more):
    about = {"width": str(width), "height": str(height), "duration_s": duration_s}
    given = {"item": file, "file": file, "outcome": outcome, "reason": "OK", "detail": ""}
    return given | about | {"sha256": file} | more


@pytest.mark.parametrize(
    ("copy", "full"),
    [
        ("100GOPRO/GL010001.LRV", "100GOPRO/GX010001.MP4"),
        ("100GOPRO/GL020001.LRV", "100GOPRO/GH020001.MP4"),
        ("100GOPRO/GOPR0007.LRV", "100GOPRO/GOPR0007.MP4"),
        ("DCIM/DJI_0001.LRF", "DCIM/DJI_0001.MP4"),
        ("M4ROOT/SUB/C0001S03.MP4", "M4ROOT/CLIP/C0001.MP4"),
        ("Sub/C0001S01.MP4", "Clip/C0001.MXF"),
        ("CONTENTS/PROXY/0001AB.MP4", "CONTENTS/VIDEO/0001AB.MXF"),
        ("shoot/Proxy/A001.mov", "shoot/A001.mov"),
        ("shoot/proxies/A001_Proxy.mov", "shoot/A001.mov"),
        ("shoot/A001_proxy.mp4", "shoot/A001.mxf"),
        ("LRV_20240101_101010_01_001.lrv", "VID_20240101_101010_00_001.insv"),
        ("LRV_20240101_101010_11_012.insv", "VID_20240101_101010_10_012.insv"),
    ],
)
def test_names_lead_to_the_full_clip_and_never_back(copy, full):
    assert named(copy, full) == {copy: [full]}
    assert named(copy) == {} and named(full) == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/GX010001.MP4", "b/GL010001.LRV"),
        ("GX010001.MP4", "GL020001.LRV"),
        ("C0001.MP4", "C0001S03.MP4"),
        ("walk.mp4", "walk two.mp4"),
        ("proxy.mp4", "walk.mp4"),
        ("Proxy/a.mp4", "Proxy/b/a.mov"),
    ],
)
def test_other_names_stand_for_clips_of_their_own(one, other):
    assert named(one, other) == {}


def test_a_copy_lasts_as_long_and_is_smaller():
    full = probe("a.mp4")
    small = probe("a.lrv", 960, 540, "9.99")
    assert twins.full_clip(small, [full]) == "a.mp4"
    assert twins.full_clip(small, [full, probe("a.mov", 3840, 2160)]) == "a.mov"
    assert twins.full_clip(probe("a.lrv", 540, 960), [full]) == "a.mp4"
    for unlike in (
        probe("a.lrv", 960, 540, "9.5"),
        probe("a.lrv"),
        probe("a.lrv", 3840, 2160),
        probe("a.lrv", 960, 540, ""),
    ):
        assert twins.full_clip(unlike, [full]) == ""
    refused = probe("a.mp4", outcome="quarantined", reason="DECODER_CRASHED")
    assert twins.full_clip(small, [refused]) == "" and twins.full_clip(small, []) == ""


def test_the_verdicts_of_a_card_and_its_copies():
    small = {"width": 960, "height": 540}
    too_small = {"outcome": "quarantined", "reason": "LOW_RESOLUTION", "width": 426, "height": 240}
    probes = [
        *(probe("GX010001.MP4"), probe("GL010001.LRV", **small)),
        *(probe("GX010002.MP4"), probe("GL010002.LRV", **too_small)),
        *(probe("GX010003.MP4"), probe("GL010003.LRV", **small)),
        probe("GL010004.LRV", **small),
        *(probe("export.mov"), probe("export.mp4", **small)),
        *(probe("Proxy/other.mp4", duration_s="3.0", **small), probe("other.mp4")),
    ]
    rejected = {"GX010003.MP4": {"value": "NO_CLEAN_FRAME", "detail": ""}}
    found = final_verdicts(probes, rejected)
    copies = {file: end.duplicate_of for file, end in found.items() if end.duplicate_of}
    assert copies == {
        "GL010001.LRV": "GX010001.MP4",
        "GL010002.LRV": "GX010002.MP4",
        "export.mp4": "export.mov",
    }
    assert {found[file].verdict for file in copies} == {"LOW_RESOLUTION_TWIN"}
    assert "960x540 of 1920x1080 px, 10.01 s of 10.01 s" in found["export.mp4"].detail
    used = {file for file, end in found.items() if end.verdict == "OK"}
    assert {"GL010003.LRV", "GL010004.LRV", "Proxy/other.mp4"} <= used
