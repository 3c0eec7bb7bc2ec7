"""Each cause explains what it is for, and nothing without its evidence or without itself."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from ferrari.ledger.columns import QUARANTINED
from tests.conventions.test_docs import DOCS
from tests.wild import causes, colours
from tests.wild.causes import CAUSES, UNEXPLAINED, explain
from tests.wild.comparing import MEANING, Clip, differences
from tests.wild.ffmpeg_view import Packet
from tests.wild.made_views import OLD, Made, lost_span, refused, row, scene, shown

PICTURE = scene()
DAMAGED = {"outcome": QUARANTINED, "reason": "DECODE_DAMAGE"}
COMPLAINT = ["[h264 @ 0x1] [error] error while decoding MB 3 4"]


def frames(count=10, **changed):
    return [shown(number, PICTURE, **changed) for number in range(count)]


def one_picture(proved):
    made = Made(count=1, probe=refused("NOT_A_VIDEO"), format="png_pipe" if proved else "matroska")
    return made.clip()


def animation(proved):
    header = "    major_brand     : avis" if proved else "    major_brand     : isom"
    return Made(probe=refused("NOT_A_VIDEO"), header=header).clip()


def text(proved):
    return Made(probe=refused("NOT_A_VIDEO"), format="tty" if proved else "avi").clip()


def cover_picture(proved):
    stream = "Video: png, rgb24(pc), 96x64" + " (attached pic)" * proved
    return Made(count=1, probe=refused("NO_VIDEO_STREAM"), stream=stream).clip()


def encrypted(proved):
    stream = f"Video: h264 ({'encv' if proved else 'avc1'} / 0x0), yuv420p, 96x64"
    return Made(probe=refused("ENCRYPTED"), stream=stream).clip()


def low_resolution(proved):
    return Made(probe=refused("LOW_RESOLUTION", threshold="65" if proved else "64")).clip()


def too_large(proved):
    size = {"width": 9000 if proved else 8000, "height": 8000}
    return Made(probe=refused("TOO_LARGE"), frames=frames(**size)).clip()


def one_moment(proved):
    told = [shown(n, PICTURE, time_s=Fraction(0 if proved else n)) for n in range(3)]
    return Made(probe=refused("ZERO_DURATION"), frames=told).clip()


def no_sound_frame(proved):
    told = {"value": "NO_CLEAN_FRAME", "detail": "first error: x", "decode_errors": "3"}
    return Made(rejection=told, complaints=COMPLAINT * proved).clip()


def decoder_not_built_in(proved):
    stream = f"Video: {'codec_of_tomorrow' if proved else 'h264'} (High), yuv420p, 96x64"
    return Made(probe=refused("NO_VIDEO_STREAM"), stream=stream).clip()


def no_decoder_in_ffmpeg(proved):
    told = ["[error] Decoding requested, but no decoder found for: vvc"]
    return Made(frames=[], complaints=told if proved else COMPLAINT).clip()


def damage(proved):
    """Three frames that ffmpeg makes up do not come out of ours."""
    rows = [row(number) for number in (0, 1, 2, 3, 7, 8, 9)]
    span = lost_span(0.16, 0.24 if proved else 0.20)
    return Made(rows=rows, lost=[span], complaints=COMPLAINT).clip()


def lost_time(proved):
    rows = [row(number) for number in range(8)]
    lost = [lost_span(0.32, 0.40 if proved else 0.321)]
    made = Made(rows=rows, lost=lost, complaints=COMPLAINT * proved, frames=frames(6))
    return made.clip()


def same_moment(proved):
    second = shown(10, PICTURE, time_s=Fraction(9 if proved else 10, 25))
    return Made(probe={"frames": "11"}, frames=[*frames(10), second]).clip()


def no_timestamps(proved):
    rows = [row(number, pts="", time_s=str(number / 24)) for number in range(10)]
    packets = [Packet(None if proved else Fraction(n, 25), n == 0) for n in range(10)]
    return Made(rows=rows, packets=packets).clip()


def before_a_key_frame(proved):
    """Of ten frames, ours begin with the fourth; the fifth (or the third) is a key frame."""
    packets = [Packet(Fraction(n, 25), n == (4 if proved else 2)) for n in range(10)]
    rows = [row(n - 3, pts=str(n * 512), time_s=str(n / 25)) for n in range(3, 10)]
    return Made(rows=rows, packets=packets, probe={"frames": "7"}).clip()


def gaps(proved):
    """Frames 5 to 9 come a minute later."""
    told = [shown(n, PICTURE, time_s=Fraction(n, 25) + 60 * (n > 4)) for n in range(10)]
    rows = [row(n, time_s=str(n / 25 + 60 * (n > 4))) for n in range(10)]
    return Made(rows=rows, frames=told, probe={"largest_gap_s": "60.04" if proved else "0"}).clip()


def cropping_before_7_1(proved):
    part = np.ascontiguousarray(PICTURE[8:56])
    return Made(ours_rgb=part, theirs_rgb=PICTURE, version=OLD if proved else (7, 1)).clip()


def implausible_aspect(proved):
    return Made(frames=frames(sar=Fraction(5 if proved else 2))).clip()


def deinterlaced(proved):
    combed = PICTURE.copy()
    combed[::2] = np.roll(PICTURE[::2], 4, axis=1)

    def draw(frame, scale, first):
        return PICTURE if "bwdif" in first else combed

    told = frames(interlaced=proved)
    return Made(frames=told, rows=[row(n, interlaced="1") for n in range(10)], draw=draw).clip()


def tone_mapped(proved):
    washed = cv2.convertScaleAbs(PICTURE, alpha=0.6, beta=60)
    rows = [row(number, transfer="pq" if proved else "sdr") for number in range(10)]
    told = frames(transfer="smpte2084", matrix="bt2020nc", primaries="bt2020")
    return Made(rows=rows, frames=told, draw=lambda frame, scale, first: washed).clip()


def grey_stretched(proved):
    grey = cv2.cvtColor(cv2.cvtColor(PICTURE, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    coded = np.rint(grey * (219 / 255) + 16).astype(np.uint8)
    told = frames(pixel_format="gray", color_range="tv" if proved else "pc")
    return Made(ours_rgb=grey, frames=told, draw=lambda frame, scale, first: coded).clip()


def untagged_matrix(proved):
    other = np.ascontiguousarray(PICTURE[..., ::-1])

    def draw(frame, scale, first):
        return PICTURE if scale == "in_color_matrix=bt709" else other

    tags = {"matrix": "unknown", "primaries": "unknown", "transfer": "unknown"}
    size = {"width": 1280 if proved else 640, "height": 360}
    return Made(frames=frames(**tags, **size), draw=draw).clip()


def primaries_converted(proved):
    meant = colours._to_bt709(PICTURE, "bt2020", colours._CURVES[0])
    told = frames(primaries="bt2020" if proved else "bt709")
    return Made(ours_rgb=meant, frames=told, draw=lambda frame, scale, first: PICTURE).clip()


def colour_between_pixels(proved):
    """The edges of one channel lie 2 px aside, and another channel evens the brightness out."""
    ours = PICTURE.astype(np.int16)
    moved = np.roll(ours, 2, axis=1)
    moved[:, :2] = ours[:, :2]
    red = moved[..., 0] - ours[..., 0]
    theirs = ours.copy()
    theirs[..., 0] += red
    theirs[..., 1] -= np.rint(red * 0.299 / 0.587).astype(np.int16)
    theirs = np.clip(theirs, 0, 255).astype(np.uint8)
    told = frames(pixel_format="yuv420p" if proved else "yuv444p")
    return Made(frames=told, draw=lambda frame, scale, first: theirs).clip()


def colour_in_webp(proved):
    ycc = cv2.cvtColor(PICTURE, cv2.COLOR_RGB2YCrCb)
    ycc[..., 1:] = cv2.resize(cv2.resize(ycc[..., 1:], (24, 16)), (96, 64))
    if not proved:
        ycc[..., 0] = cv2.add(ycc[..., 0], 20)
    return Made(lossy_rgb=cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)).clip()


#: By cause, what makes a clip with the cause's evidence, or (False) the same without it.
CASES = {
    "one picture": one_picture,
    "animation": animation,
    "text": text,
    "cover picture": cover_picture,
    "encrypted": encrypted,
    "low resolution": low_resolution,
    "too large": too_large,
    "one moment": one_moment,
    "no sound frame": no_sound_frame,
    "decoder not built in": decoder_not_built_in,
    "no decoder in ffmpeg": no_decoder_in_ffmpeg,
    "damage": damage,
    "lost time": lost_time,
    "same moment": same_moment,
    "before a key frame": before_a_key_frame,
    "no timestamps": no_timestamps,
    "gaps": gaps,
    "cropping before 7.1": cropping_before_7_1,
    "implausible aspect": implausible_aspect,
    "deinterlaced": deinterlaced,
    "tone-mapped": tone_mapped,
    "grey stretched": grey_stretched,
    "untagged matrix": untagged_matrix,
    "primaries converted": primaries_converted,
    "colour between pixels": colour_between_pixels,
    "colour in WebP": colour_in_webp,
}


def of_cause(clip: Clip, cause: causes.Cause, known=CAUSES):
    """The clip's differences of the kinds that a cause explains."""
    found = [d for d in differences(clip) if d.kind in cause.kinds]
    explain(clip, found, known)
    return found


def test_each_cause_has_a_case():
    assert sorted(CASES) == sorted(cause.name for cause in CAUSES)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_cause_explains_by_its_evidence(cause):
    found = of_cause(CASES[cause.name](True), cause)
    assert {d.cause for d in found} == {cause.name}
    assert all(d.evidence for d in found)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_without_the_cause_the_difference_counts(cause):
    others = [other for other in CAUSES if other is not cause]
    found = of_cause(CASES[cause.name](True), cause, others)
    assert {d.cause for d in found} == {UNEXPLAINED}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_without_its_evidence_the_difference_counts(cause):
    found = of_cause(CASES[cause.name](False), cause)
    assert UNEXPLAINED in {d.cause for d in found}
    assert cause.name not in {d.cause for d in found}


@pytest.mark.parametrize("step", [untagged_matrix, grey_stretched, primaries_converted])
def test_a_picture_as_ffmpegs_is_no_excuse_where_its_tags_ask_for_more(step):
    """Nothing explains a picture that equals ffmpeg's where ffmpeg leaves a step out."""
    clip = step(True)
    plain = clip.asked.picture(clip.theirs.frames[0])
    clip.ours.pictures = [replace(picture, rgb=plain) for picture in clip.ours.pictures]
    again = Clip("clip", clip.ours, clip.theirs, clip.asked)
    (found,) = (d for d in differences(again) if d.kind == MEANING)
    explain(again, [found])
    assert found.cause == UNEXPLAINED


def test_damaged_rows_excuse_nothing_where_ffmpeg_has_no_complaint():
    clip = damage(True)
    clip.theirs.complaints = []
    found = differences(clip)
    explain(clip, found)
    assert {d.cause for d in found} == {UNEXPLAINED}


def test_numbers_may_run_apart_behind_damage_alone():
    for first_bad, cause in ((3, "damage"), (6, UNEXPLAINED)):
        rows = [row(n, frame=str(n + (n > 4))) for n in range(10)]
        rows[first_bad] |= DAMAGED
        clip = Made(rows=rows, complaints=COMPLAINT).clip()
        (found,) = differences(clip)
        explain(clip, [found])
        assert (found.kind, found.cause) == ("numbers", cause)


def test_the_page_lists_all_causes():
    assert causes.table() in (DOCS / "footage.md").read_text()
