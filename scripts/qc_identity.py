"""Identity: is everybody judged, by faces that were searched, and is only the subject cut out?

Between detection and cropping, the subject was determined. This report says on what evidence,
whether the tables agree, and shows people in doubt beside the subject. It reads tables and
pictures, and no embedding.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ferrari.qc import (
    identity_checks,
    identity_pictures,
    identity_tables,
    reference_checks,
    stage_tables,
    track_checks,
)
from ferrari.reports.checks import Check
from ferrari.reports.page import Report, ReportFiles, publish
from ferrari.subject import answer_file

NAME = "qc_identity"


def report_identity(
    *,
    tables: Sequence[str],
    identities: Sequence[str],
    detections: Sequence[str],
    tracks: Sequence[str],
    previous: Sequence[str],
    references: str,
    people: str,
    said: str,
    references_folder: str | None,
    dataset: str,
    qc_settings: dict,
    out: ReportFiles,
) -> None:
    """Write the report from the tables of crops, judgements (`identities`), `detections`, `tracks`
    and frames (`previous`).

    `references`, `people` and `said` are the paths of references.csv, people.csv and who.json in
    subject/. `references_folder` is where the pictures of the subject are, if there are any.
    """
    root, ids = Path(dataset), stage_tables.videos_of(tables)
    crops, found = stage_tables.load(tables, "crop"), stage_tables.load(detections, "detect")
    judged, followed = identity_tables.load(identities), track_checks.load(tracks)
    pictures = identity_tables.references(references)
    voted, told = identity_tables.people(people), answer_file.read(said)
    videos = identity_tables.per_clip(judged, crops, ids)
    frames = stage_tables.load(previous, "extract")
    where = identity_pictures.Pictures(
        root, _frame_paths(found, frames), Path(references_folder) if references_folder else None
    )
    most = qc_settings["thumbnails"]
    refused, refused_total = identity_pictures.others(judged, crops, where, most)
    publish(
        Report(
            name=NAME,
            checks=[
                *identity_checks.table_checks(judged, ids),
                *reference_checks.checks(told, pictures, voted, judged),
                *judged_checks(judged, followed, found, crops, videos, qc_settings, root),
            ],
            counts=identity_checks.counts(judged, crops, ids),
            videos=videos,
            charts=identity_pictures.distributions(judged, crops, videos),
            tables=identity_pictures.page_tables(judged, crops, pictures, voted),
            first=identity_pictures.doubts(judged, crops, pictures, where, most),
            galleries=identity_pictures.accepted(judged, crops, where, most),
            refused=refused,
            refused_total=refused_total,
            refused_hint="Tracks of people who are somebody else, a picture each.",
        ),
        out,
    )


def judged_checks(
    judged: pd.DataFrame,
    followed: pd.DataFrame,
    found: pd.DataFrame,
    crops: pd.DataFrame,
    videos: pd.DataFrame,
    qc_settings: dict,
    dataset: Path,
) -> list[Check]:
    """The checks of judgements and their consequences; none if nobody is judged."""
    if identity_tables.nobody_is_judged(judged):
        return []
    return [
        *identity_checks.sum_checks(judged, followed, found, crops),
        *identity_checks.face_checks(judged, found, qc_settings),
        *identity_checks.judgement_checks(judged, crops, qc_settings),
        *identity_checks.delivery_checks(judged, videos, qc_settings),
        identity_checks.picture_check(dataset, crops),
    ]


def _frame_paths(found: pd.DataFrame, frames: pd.DataFrame) -> dict[str, str]:
    """The path of each detection's frame."""
    paths = stage_tables.paths_of(frames, found["parent"])
    known = found[found["parent"].isin(paths)]
    return dict(zip(known["item"], known["parent"].map(paths), strict=True))


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_identity(
        tables=job.input.tables,
        identities=job.params.identities,
        detections=job.params.detections,
        tracks=job.params.tracks,
        previous=job.params.previous,
        references_folder=job.params.references_folder,
        references=job.input.references,
        people=job.input.people,
        said=job.input.said,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        out=ReportFiles.of(job.output),
    )
