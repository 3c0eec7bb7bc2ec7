"""The closed list of causes of differences. Each is a function of evidence: a text, or "".

A difference that no cause explains counts as unexplained. A cause must not take more than its own:
where it can, it makes ffmpeg's picture anew with the one step that it claims, and compares again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from ferrari.ledger import reasons
from tests.settings import section
from tests.wild import colours, pictures
from tests.wild.comparing import (
    COLOURS,
    COUNT,
    DURATION,
    FRAMES,
    KINDS,
    LOSS,
    NUMBERS,
    REFUSED,
    SIZE,
    TAKEN,
    TIMES,
    WEAVE,
    Clip,
    Difference,
    meaning_of,
    shown_duration,
    size_of,
    steps_of,
    usual_step,
)
from tests.wild.ffmpeg_view import TEXT_DEMUXER, ShownFrame
from tests.wild.our_view import damaged

UNEXPLAINED = "unexplained"

_HELD_BACK = 16  # frames that a decoder of any codec may hold back
_CROPS_SINCE = (7, 1)
_TONES_AGREE = 0.9


@dataclass(frozen=True)
class Cause:
    """`kinds` of differences that it may explain, what it is, what proves it, and the proof."""

    name: str
    kinds: tuple[str, ...]
    sentence: str
    proof: str
    find: Callable[[Clip, Difference], str]


# --- files that are refused -----------------------------------------------------------------------


def _one_picture(clip: Clip, difference: Difference) -> str:
    wrong = clip.ours.refused != reasons.NOT_A_VIDEO or clip.theirs.format == TEXT_DEMUXER
    return "" if wrong else clip.theirs.picture


def _animation(clip: Clip, difference: Difference) -> str:
    return clip.theirs.animation if clip.ours.refused == reasons.NOT_A_VIDEO else ""


def _text(clip: Clip, difference: Difference) -> str:
    wrong = clip.ours.refused != reasons.NOT_A_VIDEO or clip.theirs.format != TEXT_DEMUXER
    return "" if wrong else clip.theirs.picture


def _cover(clip: Clip, difference: Difference) -> str:
    expected = (reasons.NO_VIDEO_STREAM, reasons.NOT_A_VIDEO)
    covers = [line for line in clip.theirs.streams.values() if "(attached pic)" in line]
    if clip.ours.refused not in expected or not covers:
        return ""
    alone = len(covers) == len(clip.theirs.streams)
    return f"{len(covers)} streams, each an attached picture" if alone else ""


def _encrypted(clip: Clip, difference: Difference) -> str:
    marked = "encv" in clip.theirs.stream
    return clip.theirs.stream if clip.ours.refused == reasons.ENCRYPTED and marked else ""


def _low_resolution(clip: Clip, difference: Difference) -> str:
    if clip.ours.refused != reasons.LOW_RESOLUTION:
        return ""
    shown = pictures.shown_size(*_first_size(clip), clip.theirs.frames[0].sar)
    bound = float(clip.ours.probe["threshold"])
    return f"{shown[0]}x{shown[1]} against {bound:g}" if min(shown) < bound else ""


def _too_large(clip: Clip, difference: Difference) -> str:
    if clip.ours.refused != reasons.TOO_LARGE:
        return ""
    width, height = pictures.shown_size(*_first_size(clip), clip.theirs.frames[0].sar)
    bound = section("probe")["max_megapixels"]
    beyond = width * height > bound * 1e6 or max(width, height) > _WEBP_SIDE
    return f"{width}x{height} against {bound} megapixels" if beyond else ""


_WEBP_SIDE = 16383


def _first_size(clip: Clip) -> tuple[int, int]:
    return clip.theirs.frames[0].width, clip.theirs.frames[0].height


def _one_moment(clip: Clip, difference: Difference) -> str:
    times = {frame.time_s for frame in clip.theirs.frames}
    if clip.ours.refused != reasons.ZERO_DURATION or len(times) > 1:
        return ""
    return f"ffmpeg's frames, {len(clip.theirs.frames)}, are all at one time"


def _undecodable(clip: Clip, difference: Difference) -> str:
    """Refused as broken, and ffmpeg meets errors too and shows what it makes up for the lost."""
    row = clip.ours.rejection or clip.ours.probe
    broken = (reasons.CORRUPT_CONTAINER, reasons.EXTRACTOR_REJECTED)
    told = int(row.get("decode_errors") or 0) or "first error" in row["detail"]
    if clip.ours.refused not in broken or not told or not clip.theirs.complaints:
        return ""
    return f"ffmpeg: {len(clip.theirs.complaints)} complaints, first {clip.theirs.complaints[0]}"


def _unknown_decoder(clip: Clip, difference: Difference) -> str:
    """The decoder that ffmpeg uses is not in the FFmpeg that we decode with."""
    codec = clip.theirs.stream.removeprefix("Video: ").split(",")[0].split(" ")[0]
    missing = bool(codec) and codec not in av.codecs_available
    return f"{codec} is not in FFmpeg {av.ffmpeg_version_info}" if missing else ""


def _no_decoder_there(clip: Clip, difference: Difference) -> str:
    told = [
        e for e in clip.theirs.complaints if "no decoder found" in e or "not found for input" in e
    ]
    return told[0] if told else ""


# --- frames and time ------------------------------------------------------------------------------


def _damage(clip: Clip, difference: Difference) -> str:
    """Every frame of the difference lies in lost time, or is one that is not trusted."""
    spans = [_span(row) for row in clip.ours.lost]
    bad = {row["frame"] for row in clip.ours.frames if damaged(row)}
    if difference.kind == NUMBERS:
        return _counted_damage(clip, difference)
    lost = [f for f in difference.missing if not any(_within(f.time_s, span) for span in spans)]
    sound = [row for row in difference.extra if row["frame"] not in bad]
    if difference.kind == TIMES:
        lost = []  # the same frames; the rows decide
    if lost or sound or not (spans or bad) or not clip.theirs.complaints:
        return ""
    return f"{len(spans)} lost spans, {len(bad)} damaged frames hold all of them"


def _counted_damage(clip: Clip, difference: Difference) -> str:
    """Numbers run apart from the first damaged frame on, by frames that one of both did not get."""
    places = {id(row): place for place, row in enumerate(clip.ours.frames)}
    first_bad = next((n for n, row in enumerate(clip.ours.frames) if damaged(row)), None)
    if (
        first_bad is None
        or not clip.theirs.complaints
        or any(places[id(row)] < first_bad for row in difference.extra)
    ):
        return ""
    return f"from the damaged frame {clip.ours.frames[first_bad]['frame']} on"


def _span(row: dict[str, str]) -> tuple[Fraction, Fraction]:
    """Begin and end of a lost span, by its detail: `from 1.200 s to 2.503 s, ...`."""
    words = row["detail"].split()
    return Fraction(words[1]), Fraction(words[4])


def _within(time_s: Fraction | None, span: tuple[Fraction, Fraction]) -> bool:
    margin = Fraction(1, 1000)  # the span's ends have three digits
    return time_s is not None and span[0] - margin <= time_s <= span[1] + margin


def _lost_time(clip: Clip, difference: Difference) -> str:
    """Counted or measured by packets, and as many frames as differ are told as lost."""
    lost_s = sum((Fraction(row["value"]) for row in clip.ours.lost), Fraction(0))
    step = usual_step(clip.theirs.frames)
    if difference.kind == COUNT:
        apart_s = abs(int(clip.ours.probe["frames"] or 0) - len(clip.theirs.frames)) * step
    else:
        shown = shown_duration(clip.theirs.frames) or Fraction(0)
        apart_s = abs(Fraction(clip.ours.probe["duration_s"]) - shown)
    explained = bool(lost_s and clip.theirs.complaints) and apart_s <= lost_s + 2 * step
    return f"{float(apart_s):.3f} s apart, {float(lost_s):.3f} s lost" if explained else ""


def _same_moment(clip: Clip, difference: Difference) -> str:
    """ffmpeg alone has them, and each is a second frame at a time that both have."""
    known = {frame.time_s for _, frame in clip.same}
    if difference.extra or not difference.missing:
        return ""
    again = all(frame.time_s in known for frame in difference.missing)
    return f"{len(difference.missing)} frames at a time that is there already" if again else ""


def _before_a_key_frame(clip: Clip, difference: Difference) -> str:
    """Frames of which decoders show some or none, as nothing is there that they build on."""
    known = {id(frame) for _, frame in clip.same}
    missing = [frame for frame in clip.theirs.frames if id(frame) not in known]
    packets = clip.asked.packets()
    place = next((n for n, packet in enumerate(packets) if packet.is_key), len(packets))
    key_s = packets[place].time_s if place < len(packets) else None
    early = place and all(key_s is None or (f.time_s or 0) < key_s for f in missing)
    if not early or (difference.kind == FRAMES and (difference.extra or not missing)):
        return ""
    if difference.kind == NUMBERS and not _counted_with(missing, difference):
        return ""
    apart = abs(int(clip.ours.probe["frames"] or 0) - len(clip.theirs.frames))
    if difference.kind == COUNT and apart > min(place, _HELD_BACK):
        return ""
    return f"{place} packets before a key frame" + " (there is none)" * (place == len(packets))


def _counted_with(missing: Sequence[ShownFrame], difference: Difference) -> bool:
    """Whether each number differs by the frames of `missing` that lie before it."""
    return all(
        frame.number - int(row["frame"]) == sum(other.number < frame.number for other in missing)
        for row, frame in zip(difference.extra, difference.missing, strict=True)
    )


def _no_timestamps(clip: Clip, difference: Difference) -> str:
    """The rows that differ have no pts, and so many packets have none."""
    if any(row["pts"] for row in difference.extra):
        return ""
    without = sum(packet.time_s is None for packet in clip.asked.packets())
    return f"{without} packets without a pts" if without >= len(difference.extra) else ""


def _gaps(clip: Clip, difference: Difference) -> str:
    """The difference is the sum of the longest steps, and the probe row tells of a gap."""
    steps, shown = steps_of(clip.theirs.frames), shown_duration(clip.theirs.frames)
    if not float(clip.ours.probe["largest_gap_s"] or 0) or not steps or shown is None:
        return ""
    usual, apart_s = usual_step(clip.theirs.frames), shown - Fraction(clip.ours.probe["duration_s"])
    total = Fraction(0)
    for count, step in enumerate(reversed(steps), 1):
        if step <= 10 * usual:
            return ""
        total += step
        if abs(total - apart_s) <= (count + 1) * usual:
            return f"{count} gaps of {float(total):.3f} s together"
    return ""


# --- shape ----------------------------------------------------------------------------------------


def _not_cropped_there(clip: Clip, difference: Difference) -> str:
    """ffmpeg before 7.1 leaves what the container crops; ours is a part of its picture."""
    pair, version = difference.pair, clip.theirs.version
    if not version or version >= _CROPS_SINCE or not pair or pair.raw is None:
        return ""
    ours, theirs = pair.ours.rgb, pair.squared(pair.raw)
    if ours.shape == theirs.shape or difference.ours != size_of(ours):
        return ""
    place = pictures.place_within(ours, theirs)
    return "" if place is None else f"ours lies at {place} of its picture"


def _implausible_aspect(clip: Clip, difference: Difference) -> str:
    pair = difference.pair
    if not pair or Fraction(1, 4) <= pair.frame.sar <= 4:
        return ""
    coded = difference.ours == f"{pair.frame.width}x{pair.frame.height}"
    return f"its sample aspect is {pair.frame.sar}" if coded else ""


# --- colours --------------------------------------------------------------------------------------


def _alike(difference: Difference, candidates: Sequence[np.ndarray | None]) -> str:
    """How near the nearest of these pictures of ffmpeg's is, if it counts as the same."""
    pair = difference.pair
    if pair is None:
        return ""
    ours, told = pair.ours.rgb, ""
    for picture in candidates:
        theirs = None if picture is None else pair.squared(picture)
        if theirs is not None and theirs.shape == ours.shape:
            gap = pictures.apart(ours, theirs)
            told = told or (f"with it: {gap}" if gap.alike else "")
    return told


def _meant(step: str) -> Callable[[Clip, Difference], str]:
    """The cause that one step of `meaning` was added, and nothing else."""

    def find(clip: Clip, difference: Difference) -> str:
        meant = meaning_of(clip, difference.pair) if difference.pair else None
        return _alike(difference, meant.pictures) if meant and meant.step == step else ""

    return find


def _deinterlaced(clip: Clip, difference: Difference) -> str:
    pair = difference.pair
    if pair is None or not pair.frame.interlaced:
        return ""
    woven = clip.asked.picture(pair.frame, "", WEAVE)
    meant = meaning_of(clip, pair, WEAVE)
    return _alike(difference, [woven, *(meant.pictures if meant else ())])


def _tone_mapped(clip: Clip, difference: Difference) -> str:
    pair = difference.pair
    if pair is None or pair.raw is None:
        return ""
    named = colours.HDR_TRANSFERS.get(pair.frame.transfer)
    if not named or pair.ours.row["transfer"] != named:
        return ""
    agree = pictures.tones_agree(pair.ours.rgb, pair.squared(pair.raw))
    return f"{named} in tag and row, brightness in the same order ({agree:.2f})" * (
        agree > _TONES_AGREE
    )


def _chroma_between(clip: Clip, difference: Difference) -> str:
    """Colour is stored at half the resolution, and only what is interpolated differs."""
    pair = difference.pair
    if pair is None or pair.raw is None or not _is_subsampled(pair.frame.pixel_format):
        return ""
    theirs = pair.squared(pair.raw)
    bright = pictures.brightness_apart(pair.ours.rgb, theirs)
    gap = pictures.between_neighbours(pair.ours.rgb, theirs)
    return f"between neighbours: {gap}; brightness: {bright}" if gap.alike and bright.alike else ""


def _is_subsampled(pixel_format: str) -> bool:
    return any(ratio in pixel_format for ratio in ("420", "422", "411", "410", "nv12", "p010"))


def _webp_chroma(clip: Clip, difference: Difference) -> str:
    """Lossy WebP has colour at half the resolution; brightness and colours of areas are kept."""
    lossy, plain = clip.ours.lossy, next(iter(clip.ours.pictures), None)
    if not lossy or not plain or lossy.rgb.shape != plain.rgb.shape:
        return ""
    bright = pictures.brightness_apart(lossy.rgb, plain.rgb)
    near = pictures.between_neighbours(lossy.rgb, plain.rgb)
    areas = pictures.apart(pictures.averages(lossy.rgb, 4), pictures.averages(plain.rgb, 4))
    kept = bright.mean <= pictures.MEAN_BOUND and bright.p99 <= 2 * pictures.P99_BOUND
    fine = near.mean <= pictures.MEAN_BOUND and near.p99 <= 2 * pictures.P99_BOUND
    told = f"brightness: {bright}; between neighbours: {near}; areas: {areas}"
    return told if kept and (fine or areas.alike) else ""


CAUSES = (
    Cause(
        "one picture", (REFUSED,),
        "The file is a photo; ffmpeg shows it as a clip of one frame.",
        "NOT_A_VIDEO, one frame, and ffmpeg's demuxer or the file's brand is that of a picture",
        _one_picture,
    ),
    Cause(
        "animation", (REFUSED,),
        "The file is an animated picture, which `probe.animations` may refuse.",
        "NOT_A_VIDEO, and ffmpeg's demuxer or the file's brand is that of an animation",
        _animation,
    ),
    Cause(
        "text", (REFUSED,),
        "The file is a text; ffmpeg draws its letters.",
        "NOT_A_VIDEO, and ffmpeg's demuxer is `tty`",
        _text,
    ),
    Cause(
        "cover picture", (REFUSED,),
        "The only picture in the file is the cover of its sound.",
        "NO_VIDEO_STREAM or NOT_A_VIDEO, and each of ffmpeg's video streams is `attached pic`",
        _cover,
    ),
    Cause(
        "encrypted", (REFUSED,),
        "The video is encrypted; what ffmpeg shows of it is noise.",
        "ENCRYPTED, and the stream's four letters are `encv`",
        _encrypted,
    ),
    Cause(
        "low resolution", (REFUSED,),
        "The picture is smaller than `probe.min_short_side`.",
        "LOW_RESOLUTION, and the short side as ffmpeg shows it is below the row's threshold",
        _low_resolution,
    ),
    Cause(
        "too large", (REFUSED,),
        "The picture is larger than `probe.max_megapixels`, or than a WebP can be.",
        "TOO_LARGE, and the size as ffmpeg shows it is beyond either",
        _too_large,
    ),
    Cause(
        "one moment", (REFUSED,),
        "The frames span no time.",
        "ZERO_DURATION, and all of ffmpeg's frames have one time",
        _one_moment,
    ),
    Cause(
        "no sound frame", (REFUSED,),
        "Nothing of the clip decodes without fault; ffmpeg shows what it makes up in its place.",
        "CORRUPT_CONTAINER or EXTRACTOR_REJECTED with an error told, and ffmpeg reports errors too",
        _undecodable,
    ),
    Cause(
        "decoder not built in", (REFUSED,),
        "The program has a decoder that the FFmpeg in the pipeline has not.",
        "the decoder's name is not among those of PyAV",
        _unknown_decoder,
    ),
    Cause(
        "no decoder in ffmpeg", (TAKEN,),
        "The program has no decoder for the codec; the FFmpeg in the pipeline has.",
        "ffmpeg says so in an error",
        _no_decoder_there,
    ),
    Cause(
        "damage", (FRAMES, TIMES, NUMBERS),
        "Data of the clip is lost. ffmpeg shows what it makes up; rows tell the frames and times.",
        "ffmpeg complains, and each frame lies in a LOST_SPAN or is DECODE_DAMAGE, or, where only "
        "numbers differ, lies behind such a one",
        _damage,
    ),
    Cause(
        "lost time", (COUNT, DURATION),
        "The probe row counts packets; out of damaged ones no frame comes.",
        "ffmpeg complains, and the difference is no longer than what the LOST_SPAN rows tell",
        _lost_time,
    ),
    Cause(
        "same moment", (FRAMES,),
        "Two frames have one time, and one of them is sampled.",
        "ffmpeg alone has the frame, at a time at which both have one",
        _same_moment,
    ),
    Cause(
        "before a key frame", (FRAMES, NUMBERS, COUNT),
        "The clip begins within a group of pictures. Old versions of ffmpeg show such frames.",
        "ffmpeg alone has the frames, and the container has no key frame up to them",
        _before_a_key_frame,
    ),
    Cause(
        "no timestamps", (TIMES,),
        "The file gives no time for these frames. Ours and ffmpeg's are made up from the rate.",
        "the rows have no `pts`, and as many packets come out of the container without one",
        _no_timestamps,
    ),
    Cause(
        "gaps", (DURATION,),
        "Steps without a frame, such as of a recording that was paused, are no footage.",
        "the row tells of a gap, and the difference is the sum of the longest steps, each of them "
        "more than ten times the usual one",
        _gaps,
    ),
    Cause(
        "cropping before 7.1", (SIZE,),
        "ffmpeg crops as the container asks since version 7.1.",
        "ffmpeg is older, and our picture is a part of its picture, pixel by pixel",
        _not_cropped_there,
    ),
    Cause(
        "implausible aspect", (SIZE,),
        "A sample aspect ratio beyond 1:4 to 4:1 is not believed.",
        "ffmpeg's is beyond that, and our picture has the size as coded",
        _implausible_aspect,
    ),
    Cause(
        "deinterlaced", (COLOURS,),
        "Interlaced frames are rebuilt (bwdif).",
        "ffmpeg's flag says interlaced, and its picture behind `bwdif` is the same",
        _deinterlaced,
    ),
    Cause(
        "tone-mapped", (COLOURS,),
        "HDR is converted to SDR; ffmpeg leaves it washed out.",
        "PQ or HLG in tag and row, and brightness in the same order all over the picture",
        _tone_mapped,
    ),
    Cause(
        "grey stretched", (COLOURS,),
        "Grey of limited range is stretched to full; ffmpeg takes it for full.",
        "the tag says limited range, and ffmpeg's coded levels, stretched, are the same",
        _meant(colours.GREY),
    ),
    Cause(
        "untagged matrix", (COLOURS,),
        "Untagged HD is BT.709, as players take it; ffmpeg takes it for BT.601.",
        "there is no tag, the size is HD, and ffmpeg's picture with that matrix is the same",
        _meant(colours.MATRIX),
    ),
    Cause(
        "primaries converted", (COLOURS,),
        "Primaries other than BT.709's are converted; ffmpeg leaves them.",
        "the tag names others, and ffmpeg's picture with them converted is the same",
        _meant(colours.PRIMARIES),
    ),
    Cause(
        "colour between pixels", (COLOURS,),
        "Colour that is stored at half the resolution is interpolated in another way.",
        "brightness is the same, and every colour lies between those of pixels within 2 px",
        _chroma_between,
    ),
    Cause(
        "colour in WebP", (LOSS,),
        "Lossy WebP stores colour at half the resolution.",
        "brightness is kept, and colours lie between neighbours or are the same over 4x4 px",
        _webp_chroma,
    ),
)  # fmt: skip


def explain(clip: Clip, found: Sequence[Difference], causes: Sequence[Cause] = CAUSES) -> None:
    """Give each difference its cause and the evidence, or UNEXPLAINED."""
    for difference in found:
        difference.cause, difference.evidence = UNEXPLAINED, ""
        for cause in causes:
            evidence = cause.find(clip, difference) if difference.kind in cause.kinds else ""
            if evidence:
                difference.cause, difference.evidence = cause.name, evidence
                break


def table() -> str:
    """The kinds and causes as the Markdown tables of docs/footage.md."""
    lines = ["| difference | what is compared |", "|---|---|"]
    lines += [f"| {kind} | {what} |" for kind, what in KINDS.items()]
    lines += ["", "| cause | of | what it is | proved by |", "|---|---|---|---|"]
    lines += [f"| {c.name} | {', '.join(c.kinds)} | {c.sentence} | {c.proof} |" for c in CAUSES]
    return "\n".join(lines)
