"""Captions that the next run would refuse, told before they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.captions import overrides
from ferrari.captions.caption_rules import check_caption
from ferrari.captions.caption_text import fill_override
from ferrari.captions.overrides import ALLOWABLE, OverridesError
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import parse
from ferrari.review.contract import CAPTION, CUTOUT, Decision


class CaptionFaults:
    """Holds captions against the rules, as stage 5 does with the same settings.

    `work` is where relative paths of the settings begin, `config` all settings of the set.
    """

    def __init__(self, work: Path, dataset: Path, config: Mapping) -> None:
        own = config["caption"]["overrides"]
        caption = {**config["caption"], "overrides": own and str(work / own)}
        self._dataset = dataset
        self._config = {**config, "dataset": str(dataset), "caption": caption}

    def of(self, row: Decision) -> str:
        """Why the next run would end at a decision, or refuse its caption; "" for another decision
        and for a sound caption.
        """
        if row.decision != CAPTION:
            return ""
        problems = [name for name in row.allowed if name.split(":")[0] not in ALLOWABLE]
        if problems:
            return (
                f"the reason of a caption holds problems that it may have, of the kinds "
                f"{' and '.join(ALLOWABLE)}, and not {problems[0]!r}"
            )
        return self._second_caption(row) or self._broken_rules(row)

    def _second_caption(self, row: Decision) -> str:
        path = overrides.place(self._config)
        try:
            own = overrides.read(path, row.video) if path.exists() else {}
        except OverridesError as error:
            return str(error)
        if row.target not in own:
            return ""
        return f"{path} has a line for {row.target}: correct it there, or take it out first"

    def _broken_rules(self, row: Decision) -> str:
        subject, settings = self._config["subject"], self._config["caption"]
        for image in self._images(row):
            facts = {name: image[name] for name in ("framing", "facing", "background")}
            named = {"token": subject["token"], "class": subject["class"]}
            caption, problems = fill_override(row.value, **named, **facts)
            problems += check_caption(
                caption,
                token=subject["token"],
                subject_class=subject["class"],
                background=image["background"],
                context_words=tuple(settings["context_words"] or ()),
            )
            if left := [problem for problem in problems if problem not in row.allowed]:
                return f"{image['item']} would be refused with this caption: {' '.join(left)}"
        return ""

    def _images(self, row: Decision) -> Iterator[Mapping[str, str]]:
        """The rows of the images that would have the caption; none before stage 5 has run."""
        table = self._dataset / stages.table("caption", row.video)
        for line in tables.iter_table(table) if table.is_file() else ():
            item = parse(line["item"])
            name = item.crop if item and row.scope == CUTOUT else line["item"]
            if name == row.target:
                yield line
