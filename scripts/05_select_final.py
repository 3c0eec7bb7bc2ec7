"""Stage 5, whole set: which captioned images make the dataset, each only once?

Clips that are copies of another file, byte for byte or at a lower resolution, would count twice:
videos.csv says which one stays, and the images of the others are dropped. So are images with the
same bytes, but for one. The rest is selected by the `curate` settings: near-duplicates across clips
are dropped (NEAR_DUPLICATE), a budget keeps the images that cover the set (OVER_BUDGET), and the
images are split into train and val.

Reads the captions twice. Memory: the digests and the plan (see `curation.selection_plan`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.curation.selection_plan import CutOut, Plan, light_of, make
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, DUPLICATE_IMAGE, UNREADABLE_IMAGE
from ferrari.ledger.tables import LedgerError, Row, iter_stage, kept, read_table, row, sorted_table
from ferrari.review import decisions
from ferrari.review.applying import Verdicts, cells_of_drop, cells_of_keep
from ferrari.review.contract import DUPLICATE_OF, Decision

CARRIED = (
    *("path", "sha256", "caption", "framing", "facing", "background", "kind"),
    *("mask_path", "mask_sha256", "width", "height", "caption_source"),
)
Verdict = dict[str, object]


def in_order(tables: Mapping[str, Path]) -> Iterator[tuple[str, dict[str, str]]]:
    """(video, row) of all kept caption rows, sorted by item.

    Items begin with their video's id and `-f`, so tables in the order of their videos give rows in
    order, with one table in memory at a time. Videos whose id begins with another's id are read
    together with it.
    """
    group: list[tuple[str, Path]] = []
    for video in sorted(tables, key=lambda video: video + "-f"):
        if group and not (video + "-f").startswith(group[0][0] + "-f"):
            yield from _merged(group)
            group = []
        group.append((video, tables[video]))
    yield from _merged(group)


def _merged(group: list[tuple[str, Path]]) -> list[tuple[str, dict[str, str]]]:
    pairs = [(video, line) for video, path in group for line in kept(iter_stage(path, "caption"))]
    return sorted(pairs, key=lambda pair: pair[1]["item"])


@dataclass
class Candidates:
    """What the first reading of the captions finds: cut-outs with images that may stay, the light
    and side of every cut-out, and the verdicts on images that may not stay.
    """

    masks: Mapping[str, Path]
    dataset: Path
    clips: Mapping[str, Verdict]  # by clip whose images go, as a copy's do: their verdict
    verdicts: Verdicts
    cutouts: dict[str, CutOut] = field(default_factory=dict)
    looks: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: dict[str, Verdict] = field(default_factory=dict)
    kept_by_hand: dict[str, Decision] = field(default_factory=dict)
    repeats: dict[str, str] = field(default_factory=dict)  # named as duplicates: their digests
    _seen: dict[bytes, str] = field(default_factory=dict)
    _embeddings: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def add(self, video: str, line: Mapping[str, str]) -> None:
        """Take note of one captioned image."""
        if video not in self._read:
            self._read_masks(video)
        crop = crop_of(line["item"])
        if crop not in self.looks:
            raise LedgerError(
                f"{self.masks[video]} keeps no {crop}, from which {line['item']} was made: delete "
                "the table, and the next run makes it anew"
            )
        if refusal := self._refusal(video, line):
            self.refused[line["item"]] = refusal
            return
        if crop not in self.cutouts:
            cell = (line["framing"], line["facing"], *self.looks[crop])
            self.cutouts[crop] = CutOut(crop, video, cell, self._embeddings[crop])
        self.cutouts[crop].images.append(line["item"])
        repeat = self.verdicts.named(line["item"])
        if repeat and repeat.decision == DUPLICATE_OF:
            self.repeats[line["item"]] = line["sha256"]
        if keep := self.verdicts.kept(line["item"], line["sha256"]):
            self.kept_by_hand[line["item"]] = keep

    def drop_duplicates(self) -> None:
        """Refuse images that a person named as duplicates of others that may stay.

        Whether selection chooses the other image plays no part: it would depend on this.
        """
        there = {item: cutout for cutout in self.cutouts.values() for item in cutout.images}
        for repeat in self.verdicts.duplicates():
            item, sha256 = repeat.target, self.repeats.get(repeat.target)
            if sha256 and self.verdicts.repeated(item, sha256, there.__contains__):
                self.refused[item] = dict(cells_of_drop(repeat))
                there[item].images.remove(item)
                if not there[item].images:
                    del self.cutouts[there[item].item]

    def _read_masks(self, video: str) -> None:
        self._read.add(video)
        for line in kept(iter_stage(self.masks[video], "mask")):
            self.looks[line["item"]] = (line["side"], light_of(line["lightness"]))
            self._embeddings[line["item"]] = line["embedding"]

    def _refusal(self, video: str, line: Mapping[str, str]) -> Verdict:
        if video in self.clips:
            return self.clips[video]
        if not (self.dataset / line["path"]).is_file():
            return {"outcome": QUARANTINED, "reason": UNREADABLE_IMAGE, "value": "the file is gone"}
        same = self._seen.setdefault(bytes.fromhex(line["sha256"]), line["item"])
        if same != line["item"]:  # of an image that a person dropped too: it is not to come back
            return {"outcome": DROPPED, "reason": DUPLICATE_IMAGE, "value": same}
        if drop := self.verdicts.dropped(line["item"], line["sha256"]):
            return dict(cells_of_drop(drop))
        return {}


def crop_of(item: str) -> str:
    """The cut-out from which an image was made."""
    found = parse(item)
    return found.crop if found else item


def final_row(video: str, line: Mapping[str, str], found: Candidates, plan: Plan) -> Row:
    """The final row of a captioned image: refused, left out by the plan, or kept."""
    item = line["item"]
    looks, keep = found.looks[crop_of(item)], found.kept_by_hand.get(item)
    refusal = found.refused.get(item, {})
    known = dict(refusal)
    if not refusal and item in plan.left_out:
        reason, neighbour, away = plan.left_out[item]
        known = {"outcome": DROPPED, "reason": reason, "value": neighbour, "threshold": away}
    elif not refusal:
        split, group = plan.split_of(video)
        known = {"outcome": KEPT, "split": split, "group": group}
        if keep and item in plan.taken_back:
            known |= cells_of_keep(keep, plan.taken_back[item])
    carried = {key: line[key] for key in CARRIED}
    known |= {"side": looks[0], "light": looks[1]}
    return row("final", item=item, parent=item, video=video, **carried, **known)


def select_final(
    *,
    caption_csvs: Iterable[str | Path],
    mask_csvs: Iterable[str | Path],
    videos_csv: str | Path,
    dataset: str | Path,
    out_csv: str | Path,
    settings: Mapping,
    seed: int,
    review: Iterable[Decision] = (),
) -> None:
    """Write the final table: one row for each captioned image of every video, sorted by item.

    Tables are named after their video; `videos_csv` says which videos are copies of others;
    `settings` is the configuration's `curate` section, `review` what a person decided of images:
    one that is kept against the settings comes on top of those that they choose. Raises
    LedgerError if two rows have the same item or an image's cut-out has no row, EmbeddingError for
    one without a sound embedding.
    """
    tables = {Path(path).stem: Path(path) for path in _paths(caption_csvs)}
    masks = {Path(path).stem: Path(path) for path in _paths(mask_csvs)}
    found = Candidates(masks, Path(dataset), _clips_that_go(videos_csv), Verdicts(review))
    for video, line in in_order(tables):
        found.add(video, line)
    found.drop_duplicates()
    cutouts = [found.cutouts[crop] for crop in sorted(found.cutouts)]
    plan = make(cutouts, settings, seed, frozenset(found.kept_by_hand))
    with sorted_table(out_csv, "final") as write:
        for video, line in in_order(tables):
            write(final_row(video, line, found, plan))


def _clips_that_go(videos_csv: str | Path) -> dict[str, Verdict]:
    """The verdicts of clips whose images are all dropped, by clip. Copies name the clip that they
    copy.
    """
    found: dict[str, Verdict] = {}
    for line in read_table(videos_csv):
        known = {"outcome": DROPPED, "reason": line["verdict"]}
        if line["verdict"] == DROPPED_BY_REVIEW:
            told = f"by review: its clip dropped by {line['detail']}"
            found[line["item"]] = {**known, "detail": told, "decision": line["decision"]}
        elif line["duplicate_of"]:
            found[line["item"]] = {**known, "value": line["duplicate_of"]}
    return found


def _paths(given: Iterable[str | Path] | str | Path) -> Iterable[str | Path]:
    """A list of paths: Snakemake passes a single file as a plain string."""
    return [given] if isinstance(given, (str, Path)) else given


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to
    from ferrari.provenance.job import ScriptJob
    from ferrari.provenance.reuse import has_work
    from ferrari.provenance.table_stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    this = ScriptJob.of(job, "select_final", ["masks"])
    if has_work(this):
        select_final(
            caption_csvs=job.input.captions,
            mask_csvs=job.params.masks,
            videos_csv=job.input.videos,
            dataset=job.config["dataset"],
            out_csv=job.output.table,
            settings=job.params.curate,
            seed=job.params.seed,
            review=decisions.of_job(job.config["dataset"], job.params.review, "final"),
        )
        seal(this)
