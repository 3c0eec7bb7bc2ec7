"""Stages 0 and 1 on one file, as the workflow runs them."""

import importlib
from pathlib import Path

from ferrari.ledger import item_ids, tables
from tests.settings import section

probe_video = importlib.import_module("00_probe_video").probe_video
extract_video = importlib.import_module("01_extract_frames").extract_video


class Run:
    """A dataset folder in which clips are probed and extracted one by one."""

    def __init__(self, dataset: Path) -> None:
        self.dataset = dataset

    def probe(self, raw: Path, **changed) -> dict[str, str]:
        """Stage 0; its row."""
        video = item_ids.video_id(raw.name)
        out = self.dataset / f"videos/{video}.csv"
        settings = section("probe", **{"min_short_side": 64, **changed})
        probe_video(
            raw=str(raw), file=raw.name, video=video, dataset=str(self.dataset),
            out_csv=str(out), settings=settings,
        )  # fmt: skip
        (row,) = tables.read_stage(out, "probe")
        return row

    def extract(self, raw: Path, threads: int = 2, **changed) -> list[dict[str, str]]:
        """Stages 0 and 1; the frames' rows."""
        self.probe(raw)
        return self.extract_probed(raw, threads, **changed)

    def extract_probed(
        self, raw: Path, threads: int = 2, max_megapixels: float | None = None, **changed
    ) -> list[dict[str, str]]:
        """Stage 1 after a stage 0 that has been run; the frames' rows."""
        video = item_ids.video_id(raw.name)
        out = self.dataset / f"01_extracted_frames/{video}.csv"
        extract_video(
            raw=str(raw), probe_csv=str(self.dataset / f"videos/{video}.csv"), video=video,
            dataset=str(self.dataset), out_csv=str(out), settings=section("extract", **changed),
            threads=threads, max_megapixels=max_megapixels or section("probe")["max_megapixels"],
        )  # fmt: skip
        return tables.read_stage(out, "extract")

    def both(
        self, raw: Path, probe: dict, extract: dict
    ) -> tuple[dict[str, str], list[dict[str, str]]]:
        """Stages 0 and 1, each with settings of its own; their rows."""
        row = self.probe(raw, **probe)
        return row, self.extract_probed(raw, **extract)
