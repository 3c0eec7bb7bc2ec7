"""Bring together what several machines made of a set, each in a working folder of its own.

    python scripts/tools/merge_shards.py FOLDER... --into WORK

The folders are copies of one in which the target `pins` was made, each with another shard done in
it (docs/scaling.md). WORK is one of them, or that copy itself; what it has stays. A run in WORK
then makes what concerns the whole set. Exit status: 0 merged, 2 refused (nothing is written then),
1 a file could not be read or written (what was copied is whole; the same command goes on).
"""

import argparse
import filecmp
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common.atomic_files import written_beside
from ferrari.common.errors import FerrariError
from ferrari.jobs import run_lock
from ferrari.ledger import job_costs
from ferrari.ledger.stages import RAW
from ferrari.provenance import last_run

#: What differs between machines that did the same: how it went, and what it cost.
_HOW_IT_WENT = ("logs", job_costs.PLACE)
#: What Snakemake knows of a file: with which settings and code it was made. Without it, a setting
#: that changes later would not reach the file.
_RECORDS = Path(".snakemake/metadata")


class MergeError(FerrariError, ValueError):
    """The folders are not shards of one set, or a run is at work in one; nothing was written."""


@dataclass(frozen=True)
class Folder:
    """A machine's working folder, with the names of its parts below it."""

    path: Path
    dataset: Path
    audit: Path

    @classmethod
    def of(cls, path: Path) -> "Folder":
        """Raises MergeError for a folder in which nothing was run."""
        last = last_run.of(path / last_run.AUDIT)
        if last is None:
            raise MergeError(
                f"no run is recorded in {path}: name the folders that the shards were run in"
            )
        return cls(path, Path(last.config["dataset"]), Path(last.config["audit"]))

    def require_quiet(self) -> None:
        """Raises MergeError while a run is at work here: half of what it makes would come along."""
        if run_lock.at_work(self.path / self.dataset, self.path) in (run_lock.RUN, run_lock.JOBS):
            raise MergeError(f"a run is at work in {self.path}: wait for it to end, then merge")

    def results(self) -> Iterator[Path]:
        """What has to be the same wherever two folders have it; paths below the folder."""
        kept_out = {self.dataset / RAW, self.dataset / ".snakemake"}
        yield from _files(self.path, self.dataset, kept_out)

    def the_rest(self) -> Iterator[Path]:
        """What comes along with the results."""
        for place in (_RECORDS, self.audit / "runs", *map(Path, _HOW_IT_WENT)):
            yield from _files(self.path, place, set())


def _files(root: Path, place: Path, kept_out: set[Path]) -> Iterator[Path]:
    """The files in a folder below `root`, sorted, as paths below `root`."""
    for here, folders, names in os.walk(root / place):
        below = Path(here).relative_to(root)
        folders[:] = sorted(name for name in folders if below / name not in kept_out)
        yield from (below / name for name in sorted(names))


def merge(shards: Sequence[Path], into: Path) -> str:
    """Copy into a working folder what it lacks of the others'; what to say of it.

    Times of change are kept: by them it is known what is to be made anew. Each file comes whole or
    not at all, so that after a full disk the same command goes on. Raises MergeError where a file
    of the dataset has other bytes in one folder than in another, or a run is at work in one;
    RunningError where one is in `into`; OSError.
    """
    target = Folder.of(into)
    sources = [Folder.of(path) for path in shards if path.resolve() != into.resolve()]
    (into / target.dataset).mkdir(parents=True, exist_ok=True)
    run_lock.require(into / target.dataset, into)
    for source in sources:
        source.require_quiet()
        if (source.dataset, source.audit) != (target.dataset, target.audit):
            raise MergeError(
                f"{source.path} has its dataset in {source.dataset}, {into} in {target.dataset}: "
                "shards are run with the same settings"
            )
    wanted = _missing_results(sources, into)
    for source in sources:
        for name in source.the_rest():
            if not (into / name).exists():
                wanted.setdefault(name, source.path / name)
    for name, found in wanted.items():
        with written_beside(into / name, clear=False) as whole:
            shutil.copy2(found, whole)
    return f"{len(wanted):,} files came into {into}. A run there makes what concerns the whole set."


def _missing_results(sources: Sequence[Folder], into: Path) -> dict[Path, Path]:
    """By name below `into`, the files of the dataset that it lacks; MergeError where two differ."""
    wanted: dict[Path, Path] = {}
    differing: list[str] = []
    for source in sources:
        for name in source.results():
            there = wanted.get(name, into / name)
            if not there.exists():
                wanted[name] = source.path / name
            elif not filecmp.cmp(source.path / name, there, shallow=False):
                differing.append(f"{source.path / name} and {there}")
    if differing:
        more = [f"and {len(differing) - 5} more"] if len(differing) > 5 else []
        shown = "\n  ".join([*differing[:5], *more])
        raise MergeError(
            f"these are no shards of one set, for they differ in:\n  {shown}\n"
            "Make `pins` once, copy that folder to each machine, and give each its own shard"
        )
    return wanted


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="merge_shards", description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path, help="the shards' working folders")
    parser.add_argument("--into", type=Path, required=True, help="the working folder to fill up")
    given = parser.parse_args(arguments)
    try:
        print(merge(given.folders, given.into))
    except FerrariError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error}; mend that, then give the same command again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
