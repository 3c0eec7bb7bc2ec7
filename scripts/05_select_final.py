"""Stage 5, whole set: which captioned images make the dataset, once each?

Clips that are byte for byte the same file, or a smaller copy of another, would weigh twice:
videos.csv says which of them stays, and the images of the others go. Images with the same bytes
stay once too. What is left is held to the `curate` settings: near-duplicates across clips go
(NEAR_DUPLICATE), a budget keeps the images that cover the set (OVER_BUDGET), and the images are
split into train and val. Reads the captions twice; the memory it takes is that of the digests,
and of the plan (see `curation.selection_plan`).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.curation.selection_plan import CutOut, Plan, light_of, make
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import DUPLICATE_IMAGE, UNREADABLE_IMAGE
from ferrari.ledger.tables import LedgerError, Row, iter_stage, kept, read_table, row, sorted_table

CARRIED = (
    *("path", "sha256", "caption", "framing", "facing", "background", "kind"),
    *("mask_path", "mask_sha256", "width", "height"),
)
Verdict = dict[str, object]


def in_order(tables: Mapping[str, Path]) -> Iterator[tuple[str, dict[str, str]]]:
    """(video, row) of all kept caption rows, sorted by item.

    Items begin with their video's id and `-f`, so tables in that order give rows in order, one
    table in memory at a time; ids that begin like another's item are read together with it.
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
    and side of every cut-out, and the verdicts on images that may not.
    """

    masks: Mapping[str, Path]
    dataset: Path
    copies: Mapping[str, tuple[str, str]]  # by clip that is a copy: why, and of which clip
    cutouts: dict[str, CutOut] = field(default_factory=dict)
    looks: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: dict[str, Verdict] = field(default_factory=dict)
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
        self._seen[bytes.fromhex(line["sha256"])] = line["item"]
        if crop not in self.cutouts:
            cell = (line["framing"], line["facing"], *self.looks[crop])
            self.cutouts[crop] = CutOut(crop, video, cell, self._embeddings[crop])
        self.cutouts[crop].images.append(line["item"])

    def _read_masks(self, video: str) -> None:
        self._read.add(video)
        for line in kept(iter_stage(self.masks[video], "mask")):
            self.looks[line["item"]] = (line["side"], light_of(line["lightness"]))
            self._embeddings[line["item"]] = line["embedding"]

    def _refusal(self, video: str, line: Mapping[str, str]) -> Verdict:
        if video in self.copies:
            why, original = self.copies[video]
            return {"outcome": DROPPED, "reason": why, "value": original}
        if not (self.dataset / line["path"]).is_file():
            return {"outcome": QUARANTINED, "reason": UNREADABLE_IMAGE, "value": "the file is gone"}
        if same := self._seen.get(bytes.fromhex(line["sha256"])):
            return {"outcome": DROPPED, "reason": DUPLICATE_IMAGE, "value": same}
        return {}


def crop_of(item: str) -> str:
    """The cut-out from which an image was made."""
    found = parse(item)
    return found.crop if found else item


def final_row(
    video: str, line: Mapping[str, str], looks: tuple[str, str], refusal: Verdict, plan: Plan
) -> Row:
    """The final row of a captioned image: refused already, left out by the plan, or kept."""
    item, known = line["item"], dict(refusal)
    if not refusal and item in plan.left_out:
        reason, neighbour, away = plan.left_out[item]
        known = {"outcome": DROPPED, "reason": reason, "value": neighbour, "threshold": away}
    elif not refusal:
        split, group = plan.split_of(video)
        known = {"outcome": KEPT, "split": split, "group": group}
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
) -> None:
    """Write the final table: one row for each captioned image of every video, sorted by item.

    Tables are named after their video; `videos_csv` says which videos are copies of others;
    `settings` is the configuration's `curate` section. Raises LedgerError if two rows have the
    same item or an image's cut-out has no row, EmbeddingError for one without a sound embedding.
    """
    tables = {Path(path).stem: Path(path) for path in _paths(caption_csvs)}
    masks = {Path(path).stem: Path(path) for path in _paths(mask_csvs)}
    copies = {
        line["item"]: (line["verdict"], line["duplicate_of"])
        for line in read_table(videos_csv)
        if line["duplicate_of"]
    }
    found = Candidates(masks, Path(dataset), copies)
    for video, line in in_order(tables):
        found.add(video, line)
    plan = make([found.cutouts[crop] for crop in sorted(found.cutouts)], settings, seed)
    with sorted_table(out_csv, "final") as write:
        for video, line in in_order(tables):
            refusal = found.refused.get(line["item"], {})
            write(final_row(video, line, found.looks[crop_of(line["item"])], refusal, plan))


def _paths(given: Iterable[str | Path] | str | Path) -> Iterable[str | Path]:
    """Snakemake hands over a single file as a bare string."""
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
        )
        seal(this)
