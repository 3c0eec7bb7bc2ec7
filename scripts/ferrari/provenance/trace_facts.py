"""A trace in words: the facts of each step, as labels and texts, and how its table was made.

`trace_text` and the page of a trace lay them out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from ferrari.common.counts import number_of
from ferrari.ledger import stages
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reason_words import advice, sentence
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, OK
from ferrari.provenance.descendants import Fate
from ferrari.provenance.trace import Step, Trace

#: Labels and texts, in their order; a text may be empty.
Facts = list[tuple[str, str]]
Row = Mapping[str, str]
#: The labels of what is wrong, and of what a refusal means and what to do about it.
WARNING = "WARNING"
REFUSAL = ("which means", "what to do")


def headline(trace: Trace) -> str:
    """What the item is; how an image ended, and how many images of anything else were kept."""
    if trace.kind != "image":
        what = f"a {trace.kind}" if trace.kind != "clip" else "a raw clip"
        kept = sum(fate.counts.get(KEPT, 0) for fate in trace.fates if fate.stage == "final")
        return f"{what}, with {number_of(kept, 'image')} in the final dataset"
    last = trace.steps[-1]
    if last.stage == "final" and last.row["outcome"] == KEPT:
        return "an image of the final dataset"
    if trace.raw["gone"] and last.row["outcome"] == KEPT:
        return "an image of a clip that is gone"
    return f"an image that ended at stage {last.stage}: {verdict(last.row)}"


def title_of(step: Step) -> str:
    """'3 cut-out': the number that people know the stage by, and what its rows are."""
    words = stages.WORDS[step.stage]
    return f"{words.number} {words.row}"


def step_facts(step: Step, trace: Trace) -> Facts:
    """What is known of a step, as (label, text); texts may be empty."""
    facts = _FACTS[step.stage]
    known = [
        ("verdict", verdict(step.row)),
        *_meaning(step.row),
        ("decided", step.decided),
        *facts(step.row, step.made, trace),
    ]
    if step.row["sha256"] and step.row["path"] and step.stage not in ("probe", "caption", "final"):
        known += [("file", step.row["path"]), ("sha256", step.row["sha256"])]
    return known


def made_facts(step: Step) -> Facts:
    """How the step's table was made, and what is wrong with it."""
    facts: Facts = []
    if step.made:
        made = step.made
        rule = f"rule {made['rule']}, code {made['code']}, settings {made['settings_sha256'][:16]}"
        facts.append(("made by", rule))
        facts.append(("settings", json.dumps(made["settings"], sort_keys=True, ensure_ascii=False)))
        facts.append(("libraries", ", ".join(f"{k} {v}" for k, v in made["libraries"].items())))
    return facts + [(WARNING, warning) for warning in step.warnings]


def verdict(row: Row) -> str:
    """Outcome, reason, and the value beside its threshold where there is one."""
    text = row["outcome"] if row["reason"] in ("", OK) else f"{row['outcome']} {row['reason']}"
    if row["reason"] == DROPPED_BY_REVIEW:  # its figures are those of what would have been kept
        return text
    if row["value"] and row["threshold"]:
        return f"{text} (value {row['value']}, threshold {row['threshold']})"
    return f"{text} ({row['value']})" if row["value"] else text


def _meaning(row: Row) -> Facts:
    """What a refusal's reason means, and what to do about it."""
    return list(zip(REFUSAL, (sentence(row["reason"]), advice(row["reason"])), strict=True))


def _probe_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    shown = f"{row['width']}x{row['height']} as shown, rotation {row['rotation']}, SAR {row['sar']}"
    rate = f"{row['fps']} fps{', variable' if row['vfr'] == '1' else ''}"
    length = f"{row['duration_s']} s, {row['frames']} frames, {row['bitrate_kbps']} kbit/s"
    return [
        ("file", row["file"]),
        ("sha256", row["sha256"]),
        ("now", f"{trace.raw['path']}: {_raw_now(trace.raw)}"),
        ("bytes", row["bytes"]),
        ("codec", " ".join(filter(None, (row["codec"], row["pix_fmt"], row["container"])))),
        ("picture", shown if row["width"] else ""),
        ("time", f"{rate}; {length}" if row["fps"] else ""),
        ("other tracks", row["other_tracks"]),
        ("detail", row["detail"]),
    ]


def _raw_now(raw: Mapping[str, object]) -> str:
    """How the raw file is found today."""
    if raw["there"]:
        if raw["same_size"]:
            return "there, with the size that was recorded"
        return f"there, but {raw['bytes']} bytes now: it is another file"
    return "gone" if raw["gone"] else f"cannot be looked at: {raw['fault']}"


def _extract_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    version = row["decoder_version"]
    return [
        ("moment", f"{row['time_s']} s, pts {row['pts']}, frame {row['frame']}"),
        ("decoder", f"{row['decoder']} ({version})" if version else row["decoder"]),
        ("why that one", row["decoder_reason"] or "the first that the settings name"),
        ("compared", _compared(row)),
        ("put right", _put_right(row)),
        ("colours", _colours(row)),
        ("decoded", f"{row['frames_decoded']} frames, {row['decode_errors']} errors"),
        ("sharpness", row["sharpness"]),
        ("detail", row["detail"]),
    ]


def _compared(row: Row) -> str:
    """How another decoder's frames compared with those of the CPU's."""
    if not row["proof_frames"]:
        return ""
    off = f"at most {row['proof_difference']} of 255 levels apart"
    return f"{row['proof_frames']} frames by another decoder and by the CPU's, {off}"


def _put_right(row: Row) -> str:
    interlaced = "interlaced" if row["interlaced"] == "1" else "progressive"
    cropped = f", cropped {row['cropped']}" if row["cropped"] else ""
    return f"rotation {row['rotation']}, SAR {row['sar']}{cropped}, {interlaced}"


def _colours(row: Row) -> str:
    facts = ("matrix", "range", "transfer", "primaries")
    told = ", ".join(f"{fact} {row[fact]}" for fact in facts if row[fact])
    log = f"; may be log footage: {row['log_footage']}" if row["log_footage"] else ""
    return f"{told}, {row['bit_depth']} bit{log}" if told else ""


def _detect_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    box = ", ".join(row[key] for key in ("x1", "y1", "x2", "y2"))
    of = f"{row['frame_width']}x{row['frame_height']}"
    return [
        ("box", f"{box} of {of} px, {row['class_name']}" if row["x1"] else ""),
        ("confidence", row["confidence"]),
        ("track", row["track"]),
        ("detector", f"{row['detector']} on {row['device']}"),
        ("weights", f"sha256 {row['weights_sha256']}" if row["weights_sha256"] else ""),
        ("detail", row["detail"]),
    ]


def _crop_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    cut = ", ".join(row[f"crop_{key}"] for key in ("x1", "y1", "x2", "y2"))
    return [
        ("cut out", f"{cut} (the box, padded)" if row["crop_x1"] else ""),
        ("who", _evidence(row)),
        ("repeats", row["compared_with"]),
        ("detail", row["detail"]),
    ]


def _evidence(row: Row) -> str:
    """On what evidence a crop is the subject's, or not; empty where nobody was judged."""
    if not row["identity_why"]:
        return ""
    by = f" (by {row['identity_by']}" if row["identity_by"] else " (by nothing"
    score = f", {row['identity_score']}" if row["identity_score"] else ""
    said = row["identity_why"].replace("_", " ")
    return f"{said}{by}{score}), sureness {row['sureness']}, track {row['track']}"


def _mask_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    settings = made.get("settings", {}).get("settings", {})
    band = f", in a band of {settings['edge_px']} px" if "edge_px" in settings else ""
    own = "as it was drawn" if row.get("mended_path") else "the network's own"
    refined = f"refined by matting{band}" if row["refined"] == "1" else own
    beside = (
        f"{row['others']} in the crop; {row['others_taken']} of the alpha taken out as theirs, "
        f"{row['others_unsure']} in doubt"
        if row["others"] not in ("", "0")
        else ""
    )
    colours = "estimated at the edge" if row["foreground"] == "1" else "the crop's own"
    by_hand = f"by hand: {row['mended_path']}" if row.get("mended_path") else ""
    return [
        ("mask", by_hand),
        ("segmenter", "" if by_hand else f"{row['segmenter']} on {row['device']}"),
        ("weights", f"sha256 {row['weights_sha256']}" if row["weights_sha256"] else ""),
        ("person gate", _gate_facts(row)),
        ("alpha", refined),
        ("colours", colours),
        ("subject", f"{row['subject_fraction']} of the crop, edge {row['edge_fraction']}"),
        ("other people", beside),
        ("detail", row["detail"]),
    ]


#: What a matte is, by whose it is.
_MATTE_OF = {
    "segmenter": "limited to the person",
    "second_look": "a second look's, limited to the person",
    "person": "the person's mask",
}


def _gate_facts(row: Row) -> str:
    """What the person gate did to a matte; "" where there was none."""
    if not row.get("gate_iou"):
        return ""
    whose = _MATTE_OF.get(row["matte_of"], row["matte_of"])
    restored = int(row.get("restored_px") or 0)
    limbs = f"; {restored} px of limbs that it lacked are the person's mask" if restored else ""
    return (
        f"{row['person_gate']}, IoU {row['gate_iou']}: the matte is {whose}; outside it "
        f"{row['held_px']} px kept as held, {row['removed_px']} px removed{limbs}"
    )


def _identity_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    from ferrari.subject.judgements import WORDS  # with numpy, which other traces do without

    by = f" (by {row['by']}, sureness {row['sureness']})" if row["by"] else ""
    judged = f"{row['faces']} of {row['faces_seen']} can be judged"
    return [
        ("why", f"{WORDS.get(row['why'], row['why'])}{by}"),
        ("seen", f"in {row['frames']} kept frames, from {row['from_s']} to {row['to_s']} s"),
        ("faces", judged if row["faces_seen"] else ""),
        ("linked as", f"track {row['linked_track']} of {stages.TRACKS}"),
        ("digest", row["sha256"]),
    ]


def _augment_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    colour = f", {row['colour_name']} {row['colour_rgb']}" if row["colour_rgb"] else ""
    drawn = f" (drawn: {row['wanted_kind']})" if row["wanted_kind"] != row["kind"] else ""
    scene = (
        f"{row['environment']}, sha256 {row['environment_sha256']}" if row["environment"] else ""
    )
    place = f"scale {row['scale']}, offset {row['offset_x']}, {row['offset_y']}"
    return [
        ("recipe", f"{row['kind']}{drawn}{colour}: {row['background']}"),
        ("scene of", scene),
        ("subject", f"{place}, on {row['width']}x{row['height']} px"),
        ("seed", row["seed"]),
        ("mask", row["mask_path"]),
        ("mask sha256", row["mask_sha256"]),
        ("detail", row["detail"]),
    ]


def _caption_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    settings = made.get("settings", {}).get("caption", {})
    why = [f"framing {row['framing']} from the box", f"background from the recipe ({row['kind']})"]
    if row["facing"]:
        why.insert(1, f"{row['facing']} from the detector")
    return [
        ("caption", row["caption"]),
        ("source", f"{row['caption_source']}, {row['clip_tokens']} CLIP tokens"),
        *([("in place of", row["replaced_caption"])] if row["replaced_caption"] else []),
        ("template", _format_templates(settings.get("template", ""))),
        ("because", "; ".join(why) if row["caption"] else ""),
        ("removed words", row["removed_words"] or "none"),
    ]


def _format_templates(setting: str | list[str]) -> str:
    return setting if isinstance(setting, str) else "one of: " + " | ".join(setting)


def _final_facts(row: Row, made: Mapping, trace: Trace) -> Facts:
    return [("image", row["path"]), ("sha256", row["sha256"]), ("detail", row["detail"])]


def package_facts(trace: Trace) -> Facts:
    """Where each package has the image, or why it has not."""
    facts: Facts = []
    for held in trace.packages:
        if held["outcome"] != KEPT:
            text = " ".join(filter(None, (held["outcome"], held["reason"], held["value"])))
        else:
            text = f"{held['path']}; mask {held['mask_path']}; caption {held['caption_path']}"
        facts.append((held["package"], text))
        facts.append((WARNING, held.get("warning", "")))
    return facts


def fate_label(fate: Fate) -> str:
    """The stage, or the package."""
    return fate.table.rpartition("/")[2][:-4] if fate.stage == "package" else fate.stage


_FACTS: dict[str, Callable[[Row, Mapping, Trace], Facts]] = {
    "probe": _probe_facts,
    "extract": _extract_facts,
    "detect": _detect_facts,
    "identity": _identity_facts,
    "crop": _crop_facts,
    "mask": _mask_facts,
    "augment": _augment_facts,
    "caption": _caption_facts,
    "final": _final_facts,
}
