"""Whether a caption written by hand follows the rules of captions.

Both the stage that uses it and whoever writes a row `caption` (`make decide`, the review page) ask
here, so that no row is accepted that the next run would refuse.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferrari.captions import overrides
from ferrari.captions.caption_rules import check_caption, in_words
from ferrari.captions.caption_text import fill_override
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import parse
from ferrari.review import decisions
from ferrari.review.contract import CAPTION, CUTOUT, IMAGE, Decision


@dataclass(frozen=True)
class Rules:
    """The rules for captions; `context_words` are added to the built-in list."""

    token: str
    subject_class: str
    context_words: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping) -> Rules:
        """The rules of a whole configuration."""
        words = tuple(config["caption"].get("context_words") or ())
        return cls(config["subject"]["token"], config["subject"]["class"], words)

    def problems(self, caption: str, background: str) -> list[str]:
        """`check_caption` by these rules."""
        return check_caption(
            caption,
            token=self.token,
            subject_class=self.subject_class,
            background=background,
            context_words=self.context_words,
        )


@dataclass(frozen=True)
class Written:
    """A person's caption with its slots filled; its `problems`, and those that its author accepts
    (`allowed`).
    """

    caption: str
    problems: tuple[str, ...]
    allowed: tuple[str, ...]


def written(text: str, allow: Iterable[str], known: Mapping[str, str], rules: Rules) -> Written:
    """A caption of an image of which `framing`, `facing` and `background` are `known`."""
    facts = {name: known[name] for name in ("framing", "facing", "background")}
    slots = {"token": rules.token, "class": rules.subject_class, **facts}
    caption, unknown = fill_override(text, **slots)
    found = unknown + rules.problems(caption, known["background"])
    accepted = set(allow)
    return Written(
        caption,
        tuple(problem for problem in found if problem not in accepted),
        tuple(problem for problem in found if problem in accepted),
    )


def fault_of(config: Mapping, row: Decision) -> str:
    """Why the next run would refuse a row `caption`, or end because of it; empty for a sound one.

    `config` is the whole configuration, with paths relative to here. A cut-out's caption is tried
    on each of its images that has none of its own. Images that do not exist yet are not checked.
    """
    if wrong := overrides.not_allowable(row.allowed):
        return (
            f"reason holds {wrong!r}; of a caption it takes problems that it may have, such as "
            f"CONTEXT_WORD:chair, of the kinds {' and '.join(overrides.ALLOWABLE)}"
        )
    own = overrides.place(config)
    if own.exists() and row.target in overrides.read(own, row.video):
        return f"{own} has a line for {row.target}: correct it there, or take it out first"
    for line in _images(config["dataset"], row):
        found = written(row.value, row.allowed, line, Rules.of(config))
        if found.problems:
            return (
                f"the caption of {line['item']} would be refused: "
                f"{'; '.join(map(in_words, found.problems))}. It is {found.caption!r}"
            )
    return ""


def seen_from(work: str | os.PathLike, config: Mapping) -> dict:
    """A configuration for `fault_of`, with paths relative to the folder `work`."""
    own = config["caption"]["overrides"]
    caption = {**config["caption"], "overrides": own and str(Path(work) / own)}
    return {**config, "dataset": str(Path(work) / config["dataset"]), "caption": caption}


def _images(dataset: str, row: Decision) -> list[dict[str, str]]:
    """The captioned images to which a row would give its caption."""
    table = Path(dataset) / stages.table("caption", row.video)
    lines = list(tables.iter_if_there(table))
    there = [line for line in lines if line["framing"]]  # of others it is not known
    if row.scope == IMAGE:
        return [line for line in there if line["item"] == row.target]
    decided = decisions.load(dataset).of(CAPTION, row.video)
    own = {one.target for one in decided if one.scope == IMAGE}
    mine = [line for line in there if (item := parse(line["item"])) and item.crop == row.target]
    return [line for line in mine if row.scope == CUTOUT and line["item"] not in own]
