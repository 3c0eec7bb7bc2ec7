"""Stage 2, between its halves: who is the subject? One answer for the whole set.

With reference pictures, these alone decide. Each is a row of `subject/references.csv`, used or
refused; one that a person dropped does not count. If they do not show one person clearly, the run
ends, and `subject/references_refused.csv` shows why. Without references, people are grouped over
the clips that vote, and the person in most of them is the subject; `subject/people.csv` has a row
for each person. Which clips vote is written down once (`subject_pinned.csv`), so that a later clip
changes nothing. With `subject.mode: single` no subject is named, and the table of people only
counts them in a sample of clips.

The answer is `subject/who.npz`, a template of face embeddings with which each clip's detections are
compared. "Nobody could be named" is a valid answer too, and is reported with a warning. This step
uses the thresholds of the network, not those of the settings: the subject must not change with the
settings.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ferrari.common import near_paths
from ferrari.common.atomic_files import sha256_file
from ferrari.common.counts import number_of
from ferrari.common.progress import LOGGER
from ferrari.images.faces import EmbeddedFace
from ferrari.images.image_files import ImageReadError
from ferrari.ledger.columns import KEPT
from ferrari.ledger.stages import REFUSED_REFERENCES_CSV, SUBJECT_PINNED_CSV
from ferrari.ledger.tables import write_table
from ferrari.networks import faces, weight_files
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from ferrari.provenance.job import Params, ScriptJob, listed
from ferrari.provenance.reuse import has_work
from ferrari.provenance.table_stamps import seal
from ferrari.review import decisions
from ferrari.review.contract import Decision
from ferrari.subject import (
    answer_file,
    clusters,
    mixed_tracks,
    pins,
    references,
    sightings_file,
    template_file,
    templates,
)
from ferrari.subject.modes import CLUSTER, REFERENCES, SINGLE
from ferrari.subject.references import Reference
from ferrari.subject.templates import ReferencesError, Template, Thresholds

REFERENCE_COLUMNS = (
    *("setting", "file", "sha256", "outcome", "reason", "value", "threshold", "detail"),
    "decision",
)
PEOPLE_COLUMNS = ("person", "clips", "tracks", "subject")
_OUTPUTS = ("table", "people", "template", "said")
_OWN, _OTHERS = "subject.references", "subject.not"


@dataclass
class Answer:
    """Who the subject is: the template (None: nobody was named), and what the tables say about it.

    `rows` are reference pictures, by the setting that names their folder. `people` are the rows of
    a vote.
    """

    template: Template | None
    said: str
    why: str = ""
    rows: dict[str, list[Reference]] = field(default_factory=dict)
    people: list[dict] = field(default_factory=list)


def name_subject(
    *,
    mode: str,
    folders: Mapping[str, str],
    voters: Sequence[str],
    gone: Sequence[str],
    sightings: Sequence[str],
    thresholds: Thresholds,
    dimensions: int,
    finder: references.FaceFinder | None,
    pinned_csv: str,
    refused_csv: str,
    outputs: Mapping[str, str],
    review: Sequence[Decision] = (),
) -> Answer:
    """Write who the subject is: `outputs` has the paths of `table`, `people`, `template`, `said`.

    `folders` are those of `subject.references` and `subject.not`, by these names, which `finder`
    looks into. `sightings` are the files of the `voters`, in their order; `gone` are pinned clips
    that are no more. `review` is what a person decided of pictures. Raises ReferencesError where
    the pictures do not say who the subject is; `refused_csv` then has the rows of the table, and is
    taken away else.
    """
    Path(refused_csv).unlink(missing_ok=True)
    rows = {}
    for setting, folder in folders.items():
        assert finder is not None
        rows[setting] = references.reviewed(references.examine(folder, setting, finder), review)
    if mode == REFERENCES:
        answer = _of_references(rows, thresholds, refused_csv)
    else:
        answer = _of_vote(mode, rows.get(_OTHERS, []), voters, sightings, thresholds, dimensions)
        answer.said += _missed(answer, voters, gone) if mode == CLUSTER else ""
    _write(outputs, mode, voters, gone, answer, dimensions)
    digest = references.digest(*_both(answer.rows)) if mode == REFERENCES else ""
    if voters or digest:
        pins.pin(pinned_csv, voters, digest)
    return answer


def _both(rows: Mapping[str, list[Reference]]) -> tuple[list[Reference], list[Reference]]:
    return rows.get(_OWN, []), rows.get(_OTHERS, [])


def _of_references(
    rows: dict[str, list[Reference]], thresholds: Thresholds, refused_csv: str
) -> Answer:
    own, others = _both(rows)
    try:
        settled, template = references.settle(own, others, thresholds)
    except ReferencesError as error:
        told = references.refused(own, others, thresholds)
        _write_pictures(refused_csv, dict(zip((_OWN, _OTHERS), told, strict=True)))
        place = near_paths.told(refused_csv)
        raise ReferencesError(f"{error}. What became of each picture: {place}") from error
    said = f"subject.references: {references.tally(settled)}"
    if others:
        said += f"; subject.not: {references.tally(others)}"
    return Answer(template, said, rows={**rows, _OWN: settled})


def _of_vote(
    mode: str,
    others: list[Reference],
    voters: Sequence[str],
    sightings: Sequence[str],
    thresholds: Thresholds,
    dimensions: int,
) -> Answer:
    seen = [
        mixed_tracks.separated(sightings_file.read(path).sightings, thresholds.below)
        for path in sightings
    ]
    clips = zip(voters, seen, strict=True)
    faced = [track for video, one in clips for track in clusters.voting_tracks(video, one)]
    negatives = _embeddings(others, dimensions)
    tracks = clusters.without_negatives(faced, negatives, thresholds.above)
    found = clusters.vote(tracks, thresholds.above)
    counts = Counter(found.labels)
    people = [
        {
            "person": person,
            "clips": clips,
            "tracks": counts[person],
            "subject": mode == CLUSTER and person == found.subject,
        }
        for person, clips in enumerate(found.clips)
    ]
    rows = {_OTHERS: others} if others else {}
    if mode == SINGLE:
        return Answer(None, _sampled(found, len(voters)), rows=rows, people=people)
    alone = len(tracks) == len(faced) and clusters.alone(seen, found)
    template = templates.of_vote(tracks, found, negatives, alone)
    return Answer(template, found.said(), found.why, rows, people)


def _missed(answer: Answer, voters: Sequence[str], gone: Sequence[str]) -> str:
    """The message if nobody was named and voting clips are gone, with what to do; else empty."""
    if answer.template is not None or not gone:
        return ""
    return (
        f". {len(gone)} of the {len(gone) + len(voters)} clips that vote are gone ({gone[0]} is "
        "the first), and with them whoever they named may be. Put them back; or delete "
        f"{SUBJECT_PINNED_CSV} in the dataset, and clips are drawn anew; or put pictures of the "
        "subject into the folder of subject.references"
    )


def _sampled(found: clusters.Vote, voters: int) -> str:
    """How many people a sample of clips shows, where nobody is judged."""
    if not voters:
        return "nobody is judged (subject.mode: single), and no clip was looked at for faces"
    return (
        f"nobody is judged (subject.mode: single); looked at: {number_of(voters, 'clip')}; "
        f"with faces that can be told apart: {found.voters}; people: {len(found.clips)}"
    )


def _embeddings(rows: Sequence[Reference], dimensions: int) -> np.ndarray:
    known = [row.embedding for row in rows if row.embedding is not None]
    return np.stack(known) if known else np.zeros((0, dimensions), np.float32)


def _write(
    outputs: Mapping[str, str],
    mode: str,
    voters: Sequence[str],
    gone: Sequence[str],
    answer: Answer,
    dimensions: int,
) -> None:
    template_file.write(outputs["template"], answer.template, dimensions)
    write_table(outputs["people"], PEOPLE_COLUMNS, answer.people)
    template = answer.template
    told = answer_file.Told(
        mode=mode,
        named=template is not None,
        alone=template is not None and template.alone,
        said=answer.said,
        why=answer.why,
        voters=tuple(voters),
        gone=tuple(gone),
    )
    answer_file.write(outputs["said"], told)
    _write_pictures(outputs["table"], answer.rows)


def _write_pictures(path: str, rows: Mapping[str, Sequence[Reference]]) -> None:
    """Write the table of the reference pictures."""
    lines = [_line(setting, row) for setting, some in rows.items() for row in some]
    write_table(path, REFERENCE_COLUMNS, lines)


def _line(setting: str, row: Reference) -> dict:
    kept = {name: getattr(row, name) for name in REFERENCE_COLUMNS if name != "setting"}
    return {"setting": setting, **kept}


def found_faces(model: Isolated, picture_rgb: np.ndarray) -> list[EmbeddedFace]:
    """The faces in a picture, found in a child process; ImageReadError where it ends that."""
    (found,), _ = model.outcomes([picture_rgb], "pictures")
    if isinstance(found, Failure):
        raise ImageReadError(f"the networks for faces: {found.reason}: {found.detail}")
    return list(found)


def digests_of(folders: Mapping[str, str], files: Mapping[str, Sequence[str]]) -> dict:
    """SHA-256 of each picture, by setting and path in its folder; "" of what cannot be read."""
    return {
        setting: {file: _digest(Path(folders[setting]) / file) for file in files[setting]}
        for setting in folders
    }


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() and os.access(path, os.R_OK) else ""


def run(job) -> None:
    """The job of the rule `who`."""
    params = job.params
    told = {name: value for name, value in params.items() if name not in ("folders", "pictures")}
    told["pictures"] = digests_of(params.folders, params.pictures)
    this = ScriptJob("who", list(map(str, job.input)), job.output, Params(told), job.config)
    pinned = Path(job.config["dataset"]) / SUBJECT_PINNED_CSV
    settled = pinned.is_file() or not (params.voters or params.mode == REFERENCES)
    if not has_work(this, always=not settled):
        return
    with ExitStack() as processes:
        answer = name_subject(
            mode=params.mode,
            folders=params.folders,
            voters=params.voters,
            gone=params.gone,
            sightings=listed(job.input.sightings),
            thresholds=Thresholds(params.embedding["above"], params.embedding["below"]),
            dimensions=params.embedding["dimensions"],
            finder=processes.enter_context(_finder(job)) if params.folders else None,
            pinned_csv=str(pinned),
            refused_csv=str(Path(job.config["dataset"]) / REFUSED_REFERENCES_CSV),
            outputs={name: getattr(job.output, name) for name in _OUTPUTS},
            review=decisions.of_job(job.config["dataset"], params.review, "who"),
        )
    useless = any(all(one.outcome != KEPT for one in rows) for rows in answer.rows.values())
    say = LOGGER.warning if answer.why or useless else LOGGER.info
    say("%s", answer.said)
    seal(this)


@contextmanager
def _finder(job) -> Iterator[references.FaceFinder]:
    """The face networks, on the CPU: the folder of pictures is processed once."""
    weights = weight_files.ready(job.config, "subject")
    settings = {**weight_files.face_settings(job.config), "device": "cpu", "batch": 1}
    load = faces.picture_loader(settings, weights, job.threads, job.config["cache"])
    limits = Limits.of("detect", job.params.limits)
    with Isolated(load, np.full((96, 96, 3), 128, np.uint8), limits) as model:
        yield partial(found_faces, model)


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to

    send_output_to(snakemake.log[0])  # noqa: F821
    run(snakemake)  # noqa: F821
