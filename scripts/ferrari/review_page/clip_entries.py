"""The entries of one clip, from its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import frame_of, parse
from ferrari.ledger.reasons import CAPTION_INVALID, DROPPED_BY_REVIEW, OK, OVERRIDE_INVALID
from ferrari.review.applying import TAKEN_BACK, crop_digest, track_digest
from ferrari.review.contract import CLIP, CUTOUT, ITEM
from ferrari.review.contract import IMAGE as OF_IMAGE
from ferrari.review.contract import TRACK as OF_TRACK
from ferrari.review_page import doubts
from ferrari.review_page.entries import IMAGE, MASK, REFUSED, TRACK, Entry, Picture
from ferrari.subject import judgements

#: Pictures of a track: where it is in doubt, a person follows it; else a glance is enough.
MOST_PICTURES, FEW_PICTURES, IN_DOUBT = 16, 6, 0.5
#: What a row that is not kept is about, by its stage; of other stages' nothing can be decided.
_SCOPES = {"crop": ITEM, "mask": CUTOUT, "caption": OF_IMAGE, "final": OF_IMAGE}
_CUT = ("crop_x1", "crop_y1", "crop_x2", "crop_y2")
Row = Mapping[str, str]
#: The rows of a stage's table of a clip; none where there is no table.
RowsOf = Callable[[str, str], Iterable[Row]]


@dataclass
class Clip:
    """A clip's tables. `whole` is its row of videos.csv, `final` are its rows of final.csv, `flags`
    what reports remark on, by id.
    """

    video: str
    rows_of: RowsOf
    whole: Row = field(default_factory=dict)
    final: Sequence[Row] = ()
    flags: Mapping[str, str] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """All of them: kept images, cut-outs and tracks, then what was refused, stage by stage."""
        for entry in (*self._images(), *self._cutouts(), *self._tracks()):
            yield entry.flagged(self.flags.get(entry.target, ""), doubts.FLAGGED)
        yield from self._refused()

    @cached_property
    def _frames(self) -> dict[str, Row]:
        return {row["item"]: row for row in self.rows_of("extract", self.video)}

    @cached_property
    def _crops(self) -> list[Row]:
        return list(self.rows_of("crop", self.video))

    @cached_property
    def _crop_of(self) -> dict[str, Row]:
        return {row["item"]: row for row in self._crops}

    @cached_property
    def _masks(self) -> list[Row]:
        return list(self.rows_of("mask", self.video))

    @cached_property
    def _identities(self) -> dict[str, Row]:
        rows = self.rows_of("identity", self.video)
        return {row["track"]: row for row in rows if row["track"]}

    def _time(self, item: str) -> float:
        frame = self._frames.get(frame_of(item))
        return doubts.number(frame["time_s"]) if frame and frame["time_s"] else -1.0

    def _track(self, item: str) -> str:
        found = parse(item)
        crop = self._crop_of.get(found.crop) if found else None
        return crop["track"] if crop else ""

    def _images(self) -> Iterator[Entry]:
        cutouts = {row["item"]: doubts.of_cutout(row) for row in self._masks}
        tracks = {name: doubts.of_track(row) for name, row in self._identities.items()}
        for row in self.final:
            if row["outcome"] != KEPT:
                continue
            track = self._track(row["item"])
            yield Entry(
                *(IMAGE, OF_IMAGE, self.video, row["item"], row["sha256"], "KDE"),
                doubt=doubts.of_image(cutouts.get(_crop(row["item"]), 0.0), tracks.get(track, 0.0)),
                pictures=(Picture(row["path"], row["sha256"]),),
                file=row["path"],
                mask=row["mask_path"],
                said=row["detail"],
                caption=row["caption"],
                framing=row["framing"],
                facing=row["facing"],
                background=row["background"],
                kind=row["kind"],
                split=row["split"],
                track=track,
                time_s=self._time(row["item"]),
            )

    def _cutouts(self) -> Iterator[Entry]:
        for row in self._masks:
            if row["outcome"] == KEPT:
                crop = self._crop_of.get(row["item"])
                yield Entry(
                    *(MASK, CUTOUT, self.video, row["item"], row["sha256"], "KD"),
                    doubt=doubts.of_cutout(row),
                    pictures=(Picture(row["path"], row["sha256"]),),
                    file=crop["path"] if crop else "",
                    mask=row["path"],
                    said=_figures_of_cutout(row),
                    track=self._track(row["item"]),
                    time_s=self._time(row["item"]),
                )

    def _tracks(self) -> Iterator[Entry]:
        crops: dict[str, list[Row]] = defaultdict(list)
        for row in self._crops:
            crops[row["track"]].append(row)
        meets = _meets(crops)
        for track, rows in crops.items():
            judged = self._identities.get(track)
            if not track or judged is None:  # nobody is identified in the clip
                continue
            doubt = doubts.of_track(judged)
            most = MOST_PICTURES if doubt >= IN_DOUBT else FEW_PICTURES
            seen = [(row, self._picture(row)) for row in rows]
            shown = _evenly([one for one in seen if one[1]], most)
            yield Entry(
                *(TRACK, OF_TRACK, self.video, f"{self.video}-t{track}"),
                sha256=track_digest(row["parent"] for row in rows),
                may="SNX" if len({frame_of(row["parent"]) for row in rows}) > 1 else "SN",
                doubt=doubt,
                pictures=tuple(picture for _, picture in shown if picture),
                frames=tuple(_ordinal(row["parent"]) for row, _ in shown),
                stage="crop",
                reason=judged["who"],
                said=_figures_of_track(judged, rows),
                track=track,
                meets=tuple(sorted(meets[track], key=int)),
                time_s=self._time(rows[0]["parent"]),
            )

    def _refused(self) -> Iterator[Entry]:
        if self.whole.get("verdict", OK) != OK:
            verdict = self.whole["verdict"]
            takes_back = verdict == DROPPED_BY_REVIEW
            yield Entry(
                *(REFUSED, CLIP, self.video, self.video),
                sha256=self.whole["sha256"] if takes_back else "",
                may="K" if takes_back else "",
                stage="videos",
                reason=verdict,
                said=self.whole["detail"],
            )
        for stage in ("extract", "detect", "crop", "mask", "augment", "caption"):
            rows = self._crops if stage == "crop" else self.rows_of(stage, self.video)
            yield from (self._refusal(stage, row) for row in rows if row["outcome"] != KEPT)
        refused = (row for row in self.final if row["outcome"] != KEPT)
        yield from (self._refusal("final", row) for row in refused)

    def _refusal(self, stage: str, row: Row) -> Entry:
        scope = _SCOPES.get(stage, "")
        takes_back = bool(scope) and row["reason"] in {*TAKEN_BACK, DROPPED_BY_REVIEW}
        rewritten = row["reason"] in (CAPTION_INVALID, OVERRIDE_INVALID)
        picture = self._picture(row) if stage == "crop" else self._own_or_crops(row)
        return Entry(
            *(REFUSED, scope, self.video, row["item"]),
            sha256=self._digest(stage, row) if takes_back or rewritten else "",
            may="K" if takes_back else "E" if rewritten else "",
            doubt=doubts.of_refusal(row),
            pictures=(picture,) if picture else (),
            file=picture.path if picture and not picture.box else "",
            stage=stage,
            reason=row["reason"],
            said=_figures_of_refusal(row),
            caption=row.get("caption", ""),
            track=row["track"] if stage == "crop" else self._track(row["item"]),
            time_s=self._time(row["item"]),
        )

    def _digest(self, stage: str, row: Row) -> str:
        if stage != "crop":
            return row["sha256"]
        frame = self._frames.get(frame_of(row["item"]))
        return crop_digest(frame["sha256"] if frame else "", row)

    def _own_or_crops(self, row: Row) -> Picture | None:
        """The row's own file, or its crop's, or its frame's."""
        if row["path"] and row["sha256"]:
            return Picture(row["path"], row["sha256"])
        found = parse(row["item"])
        crop = self._crop_of.get(found.crop) if found else None
        if crop:
            return self._picture(crop)
        frame = self._frames.get(frame_of(row["item"]))
        return Picture(frame["path"], frame["sha256"]) if frame and frame["path"] else None

    def _picture(self, row: Row) -> Picture | None:
        """A crop's file, or what would have been cut out of its frame."""
        if row["path"] and row["sha256"]:
            return Picture(row["path"], row["sha256"])
        frame = self._frames.get(frame_of(row["item"]))
        box = _box(row)
        if frame is None or not frame["path"] or box is None:
            return None
        return Picture(frame["path"], frame["sha256"], box)


def _meets(crops: Mapping[str, Sequence[Row]]) -> dict[str, set[str]]:
    """For each track, those that share a frame with it: two people, or one with two boxes."""
    there: dict[str, set[str]] = defaultdict(set)
    for track, rows in crops.items():
        for row in rows:
            there[frame_of(row["parent"])].add(track)
    found: dict[str, set[str]] = defaultdict(set)
    for tracks in there.values():
        for track in tracks:
            found[track] |= tracks - {track, ""}
    return found


def _box(row: Row) -> tuple[int, int, int, int] | None:
    if not all(row[corner] for corner in _CUT):
        return None
    x1, y1, x2, y2 = (int(float(row[corner])) for corner in _CUT)
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def _evenly(values: Sequence, most: int) -> list:
    """At most `most` of them, evenly along the row, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]


def _crop(item: str) -> str:
    """The id of the crop that an item comes from, which is its cut-out's too; "" for none."""
    found = parse(item)
    return found.crop if found else ""


def _ordinal(item: str) -> str:
    """The part of a frame's id behind its clip's: f000003."""
    return frame_of(item).rpartition("-")[2]


def _figures_of_track(judged: Row, crops: Sequence[Row]) -> str:
    said = [judgements.WORDS.get(judged["why"], judged["why"].replace("_", " "))]
    if judged["score"]:
        said.append(f"similarity {_short(judged['score'])} (bound {_short(judged['threshold'])})")
    if judged["faces_seen"]:
        said.append(f"{judged['faces']} of {judged['faces_seen']} faces judged")
    said.append(f"{len(crops)} detections in kept frames")
    return "; ".join(filter(None, said))


def _figures_of_cutout(row: Row) -> str:
    told = (
        ("subject", row["subject_fraction"]),
        ("soft", row["edge_fraction"]),
        ("may be another person's", row["others_unsure"]),
        ("taken out as another person's", row["others_taken"]),
        ("agrees with the person gate", row["gate_iou"]),
    )
    return ", ".join(f"{name} {_short(cell)}" for name, cell in told if doubts.number(cell) > 0)


def _figures_of_refusal(row: Row) -> str:
    bound = f" (bound {_short(row['threshold'])})" if row["threshold"] else ""
    figure = f"{_short(row['value'])}{bound}" if row["value"] else ""
    return "; ".join(filter(None, (figure, row.get("detail", ""))))


def _short(cell: str) -> str:
    value = doubts.number(cell)
    return f"{value:.3g}" if value == value else cell
