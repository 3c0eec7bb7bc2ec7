"""Whether the bank of scenes stays unchanged although clips from which it was drawn are gone.

A drawn clip that lent no scene is a refused row of the bank. When it is removed, no background of
any cut-out changes, so no variant has to be checked: the bank keeps its bytes, including that row.
Only its stamp is rewritten, so that it names existing tables.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ferrari.common.atomic_files import sha256_file
from ferrari.ledger import tables
from ferrari.ledger.stages import ENVIRONMENTS_CSV
from ferrari.provenance import reuse, table_stamps
from ferrari.provenance.job import Job

_RULE = "environments"


def as_stamped(
    dataset: str | os.PathLike, code: str, inputs: Iterable[str | os.PathLike]
) -> dict | None:
    """The stamp of the bank, where `inputs` (tables of the clips that are there) are all that it
    was drawn from but for clips that lent no scene, at least one; else None.

    Everything else has to be as it was: the bank and its pictures, those tables, the code and the
    libraries.
    """
    dataset = Path(dataset)
    bank = dataset / ENVIRONMENTS_CSV
    try:
        stamp = table_stamps.read(table_stamps.place(dataset, bank))
    except table_stamps.StampError:
        return None
    names = {os.path.relpath(path, dataset) for path in inputs}
    lost = stamp["inputs"].keys() - names
    if not lost or names - stamp["inputs"].keys():
        return None
    if stamp["code"] != code or stamp["libraries"] != table_stamps.versions(_RULE):
        return None
    then = {bank: stamp["sha256"]} | {dataset / name: stamp["inputs"][name] for name in names}
    if not all(path.is_file() and sha256_file(path) == sha256 for path, sha256 in then.items()):
        return None
    rows = tables.read_table(bank)
    if not all((dataset / path).is_file() for row in rows for path, _ in tables.files_of(row)):
        return None
    lent = {row["video"] for row in tables.kept(rows)}
    return None if lent & {Path(name).stem for name in lost} else stamp


def stays(
    dataset: str | os.PathLike,
    code: str,
    inputs: Iterable[str | os.PathLike],
    raw: Iterable[str | os.PathLike],
) -> bool:
    """Before a run: `as_stamped`, and no file of `raw` (the clips that are left of those drawn) was
    touched since the bank was written, so that this run will not draw a scene anew.
    """
    if as_stamped(dataset, code, inputs) is None:
        return False
    written = os.stat(Path(dataset) / ENVIRONMENTS_CSV).st_mtime_ns
    try:
        return all(os.stat(path).st_ctime_ns <= written for path in raw)
    except OSError:  # a dangling link, or a clip in a bucket, whose clock is not ours
        return False


def leave_alone(job: Job) -> bool:
    """In the job that draws the scenes: True if the bank stays as it is (see `as_stamped`). Then
    its stamp is written anew, with the job's inputs as all that the bank was drawn from.
    """
    dataset = job.config["dataset"]
    stamp = as_stamped(dataset, job.params.code, job.input)
    if stamp is None:
        return False
    table_stamps.write(
        table=job.output.table,
        dataset=dataset,
        rule=stamp["rule"],
        code=stamp["code"],
        settings=stamp["settings"],
        inputs=map(str, job.input),
        other_inputs=stamp["other_inputs"],
    )
    reuse.leave_alone(job)
    return True
