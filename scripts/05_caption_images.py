"""Stage 5, per video: check each augmented image against its row, and write its caption.

Re-opens every image and mask that stage 4 kept (the final validation). The caption is made from
what is known (subject, framing, the recipe's background), or is the one that a person wrote
(captions/overrides.csv); the caption that it replaces stays in the row. A refused image is a row:
UNREADABLE_IMAGE, SHA_MISMATCH, MASK_MISMATCH, CAPTION_INVALID or OVERRIDE_INVALID, with the fault
in `value`.

The optional captioner runs in a child process with limits. If a cut-out crashes it, the cut-out's
images are quarantined (MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY): a caption without the
captioner's words would be a worse one that nobody asked for and that looks like the others.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ferrari.captions import by_hand
from ferrari.captions.by_hand import Rules
from ferrari.captions.caption_text import build_caption, checked_templates
from ferrari.captions.clip_tokens import MAX_CLIP_TOKENS, count_clip_tokens
from ferrari.captions.description_cleaning import (
    clean_description,
    composite_on_grey,
    fit_description,
)
from ferrari.captions.framing import facing_of, framing_of
from ferrari.captions.overrides import Override, of_clip
from ferrari.common.progress import Progress
from ferrari.common.seeds import ranked
from ferrari.images import image_files
from ferrari.images.image_and_mask import file_fault
from ferrari.ledger.columns import KEPT, QUARANTINED
from ferrari.ledger.reasons import CAPTION_INVALID, OVERRIDE_INVALID, UNREADABLE_IMAGE
from ferrari.ledger.tables import (
    LedgerError,
    Row,
    iter_stage,
    kept,
    narrowed,
    read_stage,
    row,
    write_stage,
)
from ferrari.networks.backends import captioner
from ferrari.processes.device_client import DeviceModel
from ferrari.processes.device_process import DEVICE
from ferrari.processes.devices import cards_of
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.reuse import NOTHING, Earlier, item_digest
from ferrari.provenance.table_stamps import seal

#: The columns of an image and its crop that this stage uses: the image is captioned again when one
#: of them changes.
READS = (
    *("item", "parent", "path", "sha256", "mask_path", "mask_sha256"),
    *("background", "kind", "width", "height"),
)
CROP_READS = ("item", "x1", "y1", "x2", "y2", "frame_width", "frame_height")
#: A crop's item -> (words, words removed), or why there are none: a row's reason and detail.
Describe = Callable[[str], tuple[str, list[str]] | Failure]
#: A picture that no working captioner crashes on.
HARMLESS = np.full((96, 96, 3), 128, np.uint8)


@dataclass(frozen=True)
class Style:
    """What all captions of a run share: how they are written, and the rules that they must
    follow.
    """

    templates: tuple[str, ...]
    seed: int
    rules: Rules

    def template(self, item: str) -> str:
        """The template of an image. Adding a template changes only the captions that use it."""
        if len(self.templates) == 1:
            return self.templates[0]
        return ranked(self.templates, self.seed, "", item)[0]

    def write(self, item: str, words: str, **known: str) -> tuple[str, list[str]]:
        """The caption, and those of the captioner's `words` that were cut off to fit CLIP."""
        template = self.template(item)
        slots = {"token": self.rules.token, "class": self.rules.subject_class, **known}

        def filled(description: str) -> str:
            return build_caption(template, **slots, description=description)

        words, cut = fit_description(
            words, lambda text: count_clip_tokens(filled(text)) <= MAX_CLIP_TOKENS
        )
        caption = filled(words)
        if words and self.rules.problems(caption, known["background"]):
            return filled(""), words.split() + cut  # rather without than refused for them
        return caption, cut


def caption_row(
    line: Mapping[str, str], crop: Mapping[str, str], style: Style, describe: Describe | None
) -> Row:
    """The caption row of an augment row whose files are sound."""
    said = describe(line["parent"]) if describe else ("", [])
    if isinstance(said, Failure):
        return _refused(line, said.reason, said.detail)
    words, removed = said
    facts = _facts(crop)
    caption, cut = style.write(line["item"], words, background=line["background"], **facts)
    return _captioned(
        line,
        caption,
        style.rules.problems(caption, line["background"]),
        CAPTION_INVALID,
        caption_source="transformers" if len(words.split()) > len(cut) else "template",
        removed_words="; ".join(removed + cut),
        **facts,
    )


def overridden(
    line: Mapping[str, str], written: Row, override: Override, crop: Mapping[str, str], style: Style
) -> Row:
    """The caption row of an image with a person's caption in place of the `written` one.

    The image is kept even if the captioner failed on it, because its words are no longer needed. A
    caption that breaks the rules is refused with its image, never silently replaced by the other
    one.
    """
    facts = _facts(crop)
    known = {**facts, "background": line["background"]}
    found = by_hand.written(override.caption, override.allow, known, style.rules)
    return _captioned(
        line,
        found.caption,
        found.problems,
        OVERRIDE_INVALID,
        caption_source="override",
        decision=override.decision,
        replaced_caption=written["caption"],
        allowed_problems=" ".join(found.allowed),
        **facts,
    )


def _facts(crop: Mapping[str, str]) -> dict[str, str]:
    return {"framing": framing_of(crop), "facing": facing_of(crop)}


def _captioned(
    line: Mapping[str, str], caption: str, problems: Sequence[str], reason: str, **known: object
) -> Row:
    """The row of a caption: kept, or quarantined for `reason` where there are `problems`."""
    return row(
        "caption",
        item=line["item"],
        parent=line["item"],
        outcome=QUARANTINED if problems else KEPT,
        reason=reason if problems else "",
        value=" ".join(problems),
        caption=caption,
        clip_tokens=count_clip_tokens(caption),
        **known,
        **_carried(line),
    )


def _carried(line: Mapping[str, str]) -> dict[str, str]:
    columns = ("path", "sha256", "background", "kind", "mask_path", "mask_sha256")
    return {key: line[key] for key in (*columns, "width", "height")}


def _serve(
    request: captioner.CaptionerRequest, setting: str, limits: Limits
) -> tuple[dict[str, str], Callable[[list[np.ndarray]], list[str]]]:
    """The captioner, in this process, or in that of one of the cards that the setting allows."""
    if request.device == "cpu":
        about, run = request()
    else:
        model = DeviceModel(replace(request, device=DEVICE), limits, cards_of(setting))
        about, run = model.about, model.run
    said = {"device": str(about["device"])}
    return said, lambda images_rgb: [captioner.words(outputs) for outputs in run(images_rgb)]


@contextlib.contextmanager
def model_describer(
    cutouts: Mapping[str, Mapping[str, str]], dataset: Path, settings: Mapping, style: Style
) -> Iterator[Describe]:
    """A function from a crop's item to what the captioner says of its cut-out, asked once each."""
    request = captioner.CaptionerRequest.of(settings["model"], settings["device"])
    limits = Limits.of("caption", settings)
    load = functools.partial(_serve, request, settings["device"], limits)
    with Isolated(load, HARMLESS, limits) as model:

        @functools.cache
        def describe(crop: str) -> tuple[str, list[str]] | Failure:
            line = cutouts[crop]
            path = line["path"]
            try:
                cutout_rgba = image_files.read_verified(dataset / path, line["sha256"], path)
            except image_files.ImageReadError as error:
                return Failure(UNREADABLE_IMAGE, str(error))
            (said,), _ = model.outcomes([composite_on_grey(cutout_rgba)], "cut-outs")
            if isinstance(said, Failure):
                return said
            rules = style.rules
            return clean_description(said, token=rules.token, context_words=rules.context_words)

        yield describe


def caption_video(
    *,
    augment_csv: str | Path,
    masks_csv: str | Path,
    crops_csv: str | Path,
    dataset: str | Path,
    out_csv: str | Path,
    settings: Mapping,
    subject: Mapping[str, str],
    seed: int,
    overrides: Mapping[str, Override] | None = None,
    earlier: Earlier = NOTHING,
) -> dict[str, str]:
    """Write the caption table of one video: one row for each image that stage 4 kept. Returns the
    digests of the images' rows.

    `settings` is the configuration's `caption` section, `subject` its `subject` section; `seed`
    draws each image's template where there are several. `overrides` are a person's captions by
    item: an image's own line counts before that of its cut-out. Raises CaptionSettingError for a
    template or a subject that cannot make a caption, CaptionerError for a captioner that cannot be
    loaded, LedgerError if an image's crop has no row. Images whose rows `earlier` has keep them.
    """
    style = _style(settings, subject, seed)
    overrides = overrides or {}
    dataset = Path(dataset)
    images = _images(augment_csv, crops_csv, masks_csv, overrides)
    by_model = settings["backend"] == "transformers"
    cutouts = _cutouts(masks_csv) if by_model else {}
    digests = {image.item: image.digest(cutouts) for image in images}
    rows: dict[str, list[Row]] = earlier.take_all(digests)
    left = [image for image in images if image.item not in rows]
    describer: contextlib.AbstractContextManager = contextlib.nullcontext()
    if by_model and left:
        describer = model_describer(cutouts, dataset, settings, style)
    progress = Progress("images captioned", len(left))
    with describer as describe:
        for image in left:
            rows[image.item] = [image.row(dataset, style, describe)]
            progress.step()
    write_stage(out_csv, "caption", [row for item in digests for row in rows[item]])
    return digests


@dataclass(frozen=True)
class Image:
    """An image that stage 4 kept, its crop, and what a person wrote for it."""

    line: Mapping[str, str]
    crop: Mapping[str, str]
    by_hand: Override | None

    @property
    def item(self) -> str:
        """The image's id."""
        return self.line["item"]

    def digest(self, cutouts: Mapping[str, Mapping[str, str]]) -> str:
        """Of everything that the row is made from; the cut-out is part of it only if a captioner
        sees it.
        """
        seen = cutouts[self.line["parent"]] if cutouts else ""
        return item_digest(self.line, self.crop, self.by_hand, seen)

    def row(self, dataset: Path, style: Style, describe: Describe | None) -> Row:
        """The image's row, after its files have been opened again."""
        line = self.line
        fault = file_fault(dataset / line["path"], dataset / line["mask_path"], line)
        if fault:
            return _refused(line, *fault)
        written = caption_row(line, self.crop, style, describe)
        if self.by_hand is None:
            return written
        return overridden(line, written, self.by_hand, self.crop, style)


def _images(
    augment_csv: str | Path,
    crops_csv: str | Path,
    masks_csv: str | Path,
    overrides: Mapping[str, Override],
) -> list[Image]:
    crops = {
        line["item"]: narrowed(line, CROP_READS) | {"facing": line.get("facing", "")}
        for line in iter_stage(crops_csv, "crop")
    }
    about_cutouts = any(one.sha256 for item, one in overrides.items() if item in crops)
    cutouts = _cutouts(masks_csv) if about_cutouts else {}
    images = []
    for line in kept(read_stage(augment_csv, "augment")):
        parent = line["parent"]
        if parent not in crops:
            raise LedgerError(f"{crops_csv} has no row for {parent}, parent of an image")
        of_image = _written_about(overrides, line["item"], line["sha256"])
        of_cutout = _written_about(overrides, parent, cutouts.get(parent, {}).get("sha256", ""))
        by_hand = of_image or of_cutout
        images.append(Image(narrowed(line, READS), crops[parent], by_hand))
    return images


def _written_about(overrides: Mapping[str, Override], item: str, sha256: str) -> Override | None:
    """The caption by hand of an image or a cut-out, if it was written about the file as it is
    now.
    """
    found = overrides.get(item)
    return found if found and found.sha256 in ("", sha256) else None


def _cutouts(masks_csv: str | Path) -> dict[str, dict[str, str]]:
    """The paths of the cut-outs, by item, with their digests."""
    rows = kept(read_stage(masks_csv, "mask"))
    return {line["item"]: narrowed(line, ("path", "sha256")) for line in rows}


def _style(settings: Mapping, subject: Mapping[str, str], seed: int) -> Style:
    extra = tuple(settings.get("context_words") or ())
    templates = checked_templates(settings, subject)
    return Style(templates, seed, Rules(subject["token"], subject["class"], extra))


def _refused(line: Mapping[str, str], reason: str, detail: str) -> Row:
    item = line["item"]
    return row(
        "caption",
        item=item,
        parent=item,
        outcome=QUARANTINED,
        reason=reason,
        value=detail,
        **_carried(line),
    )


def run(job) -> None:
    """The job of the rule `caption` (see `ferrari.jobs.stage_job`)."""
    digests = caption_video(
        augment_csv=job.input.augment,
        masks_csv=job.input.masks,
        crops_csv=job.input.crops,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
        settings=job.settings("caption"),
        subject=job.params.subject,
        seed=job.params.seed,
        overrides=of_clip(job.config, job.wildcards.video, job.params.overrides),
        earlier=job.earlier,
    )
    seal(job, digests)
