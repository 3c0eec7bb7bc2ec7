"""Which clips `extract.decoder: auto` gives to the card."""

from dataclasses import replace

import pytest

from ferrari.video.decoding import card_pays, registry
from ferrari.video.decoding.card_pays import CodedClip
from ferrari.video.decoding.trust import JUDGE

MINUTES = CodedClip("hevc", "yuv420p10le", 8.3, frames=30 * 120, group=30, fps=30)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, ""),
        ({"megapixels": 2.1}, ""),
        ({"codec": "vp9", "pix_fmt": "yuv420p"}, ""),
        ({"codec": "h264"}, "of h264"),
        ({"codec": "libdav1d"}, "of libdav1d"),
        ({"frames": 60}, "a core"),  # two seconds: the proof decodes all of it
        ({"group": 3600.0}, "a core"),  # one key frame: the same
        ({"megapixels": 0.4, "frames": 300}, "a core"),  # small and short
    ],
)
def test_the_card_is_for_long_clips_of_codecs_that_cost_the_cores_much(changed, why):
    found = card_pays.why_not(replace(MINUTES, **changed), pictures_fps=2)
    assert (why in found) if why else found == ""


def test_what_the_cpu_need_not_decode_is_no_gain():
    """Of key frames alone it decodes the samples, and the card is not worth its start."""
    alone = replace(MINUTES, group=1.0, megapixels=2.1)
    assert "a core" in card_pays.why_not(replace(alone, frames=600), pictures_fps=2)
    cpu_s, _ = card_pays.core_seconds(alone, pictures_fps=2)
    whole_s, _ = card_pays.core_seconds(replace(alone, group=30), pictures_fps=2)
    assert cpu_s < whole_s / 10


@pytest.mark.parametrize(
    ("pix_fmt", "megapixels", "seconds", "expected", "card"),
    [
        ("yuv420p10le", 8.3, 120, (167.8, 19.4), True),
        ("yuv420p10le", 8.3, 20, (28.0, 7.3), True),
        ("yuv420p10le", 8.3, 5, (7.0, 6.3), False),
        ("yuv420p", 2.07, 60, (16.7, 2.8), True),
        ("yuv420p", 2.07, 20, (5.6, 2.1), True),
        ("yuv420p", 2.07, 10, (2.8, 1.9), False),
    ],
)
def test_the_figures_of_the_documentation(pix_fmt, megapixels, seconds, expected, card):
    clip = CodedClip("hevc", pix_fmt, megapixels, 30 * seconds, group=30, fps=30)
    found = card_pays.core_seconds(clip, pictures_fps=6)
    assert tuple(round(value, 1) for value in found) == expected
    assert (card_pays.why_not(clip, pictures_fps=6) == "") is card


def test_a_clip_is_known_by_its_row():
    row = {"codec": "hevc", "pix_fmt": "yuv420p", "coded_width": "1920", "coded_height": "1080"}
    clip = CodedClip.of({**row, "frames": "300", "key_frames": "10", "fps": "29.97"})
    assert (clip.megapixels, clip.group, clip.fps) == (2.0736, 30, 29.97)
    untold = CodedClip.of({**row, "frames": "", "key_frames": "", "fps": ""})
    assert card_pays.why_not(untold, pictures_fps=2)


@pytest.fixture
def card(monkeypatch):
    monkeypatch.setattr(registry, "nvdec_problem", lambda: "")
    monkeypatch.setattr(registry, "cuda_devices", lambda: 3)


def names(choice, clip=MINUTES):
    decoders, reason = registry.candidates(choice, clip, 2.0, "walk")
    return [decoder.name for decoder in decoders], reason


def test_the_setting_decides_which_decoders_are_tried(card):
    assert names("auto") == (["pyav-nvdec", JUDGE], "")
    small = replace(MINUTES, codec="h264")
    assert names("auto", small)[0] == [JUDGE] and "not NVDEC: of h264" in names("auto", small)[1]
    assert names("nvdec_first", small) == (["pyav-nvdec", JUDGE], "")
    assert names("nvdec", small)[0] == ["pyav-nvdec"]
    assert names("cpu") == ([JUDGE], "decoder: cpu was asked for")


def test_several_cards_share_the_clips_in_the_same_way_every_run(card):
    devices = [registry.device_of(f"clip{number}") for number in range(300)]
    assert all(80 < devices.count(device) < 120 for device in range(3))
    assert devices == [registry.device_of(f"clip{number}") for number in range(300)]
    (first, _), _ = registry.candidates("nvdec_first", MINUTES, 2.0, "clip0")
    assert first.device == devices[0]


def test_without_a_card_the_cpu_decodes_and_says_why(monkeypatch):
    monkeypatch.setattr(registry, "nvdec_problem", lambda: "the NVIDIA driver shows no device")
    for choice in ("auto", "nvdec_first"):
        assert names(choice) == ([JUDGE], "no NVDEC: the NVIDIA driver shows no device")
