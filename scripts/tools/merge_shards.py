"""Bring together what several machines made of a set, each in a working folder of its own.

    python scripts/tools/merge_shards.py FOLDER... --into WORK

The folders are copies of one in which the target `pins` was made, each with another shard done in
it (docs/scaling.md). WORK is one of them, or that copy itself; what it has stays. A run in WORK
then makes what concerns the whole set, and what is still missing of clips. Exit status: 0 merged,
2 refused (nothing is written then), 1 a file could not be read or written (what was copied is
whole; the same command goes on).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import contextlib
import filecmp
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ferrari.common.atomic_files import written_beside
from ferrari.common.counts import first_of, number_of
from ferrari.common.errors import FerrariError
from ferrari.common.foreign_files import is_leftover
from ferrari.jobs import run_lock
from ferrari.ledger import clips_gone, job_costs, raw_listing, raw_place, stages
from ferrari.provenance import last_run
from ferrari.storage import buckets

#: What differs between machines that did the same: how it went, and what it cost.
_HOW_IT_WENT = ("logs", job_costs.PLACE)
#: What Snakemake knows of a file: with which settings and code it was made. Without it, a setting
#: that changes later would not reach the file.
_RECORDS = Path(".snakemake/metadata")
#: Of so many files that differ the names are said.
_DIFFERING = 5
#: A path below working folders, and the folders that have it.
_File = tuple[Path, list[Path]]
#: What a folder is, by whatever path: its device and its inode.
_Inode = tuple[int, int]


class MergeError(FerrariError, ValueError):
    """The folders are not shards of one set, or a run is at work in one; nothing was written."""


@dataclass(frozen=True)
class Folder:
    """A machine's working folder: the names of its parts below it, and its last run's settings."""

    path: Path
    dataset: Path
    audit: Path
    config: Mapping

    @classmethod
    def of(cls, path: Path) -> "Folder":
        """Raises MergeError for a folder in which nothing was run, or that is not whole."""
        last = last_run.of(path / last_run.AUDIT)
        if last is None:
            raise MergeError(
                f"no run is recorded in {path}: name the folders that the shards were run in"
            )
        folder = cls(path, Path(last.config["dataset"]), Path(last.config["audit"]), last.config)
        for place in (folder.dataset, folder.audit):
            if place.is_absolute() or ".." in place.parts:
                raise MergeError(
                    f"{path} has its files in {place}, which is no folder below it: what machines "
                    "share needs no merging, and what is to be merged lies below working folders"
                )
        if not (path / _RECORDS).is_dir():
            raise MergeError(
                f"{path / _RECORDS} is not there, which tells with which settings each file was "
                "made: copy the folder with what begins with a dot (cp -a, rsync -a)"
            )
        return folder

    def keep_quiet(self) -> None:
        """No run begins here until this process ends, where the folder can be written into.

        Raises RunningError or MergeError while one is at work: half of what it makes would come
        along; MergeError for a folder without a dataset.
        """
        dataset = self.path / self.dataset
        if not dataset.is_dir():  # the lock would make a file of that name
            raise MergeError(
                f"{dataset} is not there: name the folders that the shards were run in"
            )
        try:
            run_lock.require(dataset, self.path)
        except OSError:  # a mount to read from alone: it can be asked at least
            if run_lock.at_work(dataset, self.path) in (run_lock.RUN, run_lock.JOBS):
                raise MergeError(
                    f"a run is at work in {self.path}: wait for it to end, then merge"
                ) from None


def _files(
    roots: Sequence[Path],
    place: Path,
    kept_out: Collection[Path],
    above: Collection[_Inode | None] | None = None,
) -> Iterator[_File]:
    """The files in a folder below any of `roots`, sorted, as paths below them, each with the roots
    that have it, in their order. Names of one folder are held at a time: a set has millions.

    Links to folders are followed: a stage's folder may lie on another disk. What killed jobs left
    half-written stays where it is. Raises OSError for a folder that cannot be read, and MergeError
    for a link that leads to one of the folders `above` it.
    """
    if above is None:
        above = {_inode(folder) for root in roots for folder in (root / place).absolute().parents}
    files: dict[str, list[Path]] = {}
    folders: dict[str, list[Path]] = {}
    here = {inode: root for root in roots if (inode := _inode(root / place))}
    for inode in here.keys() & set(above):
        raise MergeError(
            f"{here[inode] / place} is a link to a folder above itself, so that what is in it has "
            "no end: delete the link, then merge"
        )
    for root in roots:
        with contextlib.suppress(FileNotFoundError), os.scandir(root / place) as entries:
            for entry in entries:
                if not is_leftover(entry.name):
                    kind = folders if entry.is_dir() else files
                    kind.setdefault(entry.name, []).append(root)
    for name in sorted(files):
        yield place / name, files[name]
    for name in sorted(folders):
        if place / name not in kept_out:
            yield from _files(folders[name], place / name, kept_out, {*above, *here})


def _inode(folder: Path) -> _Inode | None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def merge(shards: Sequence[Path], into: Path) -> str:
    """Copy into a working folder what it lacks of the others'; what to say of it.

    Times of change are kept: by them it is known what is to be made anew. Each file comes whole or
    not at all, so that after a full disk the same command goes on. Raises MergeError where a file
    of the dataset has other bytes in one folder than in another; MergeError or RunningError where a
    run is at work in one; OSError.
    """
    target = Folder.of(into)
    each_once = {path.resolve(): path for path in reversed(shards)}
    each_once.pop(into.resolve(), None)
    sources = [Folder.of(path) for path in reversed(each_once.values())]
    _require_apart([target, *sources])
    (into / target.dataset).mkdir(parents=True, exist_ok=True)
    run_lock.require(into / target.dataset, into)
    for source in sources:
        source.keep_quiet()
        if (source.dataset, source.audit) != (target.dataset, target.audit):
            raise MergeError(
                f"{source.path} has its dataset in {source.dataset}, {into} in {target.dataset}: "
                "shards are run with the same settings"
            )
    videos = _raw_clips(target)
    folders = [target, *sources]
    _require_one_set(folders)
    came = 0
    for name, having in _all_files(folders):
        if having[0] != into:
            with written_beside(into / name, clear=False) as whole:
                shutil.copy2(having[0] / name, whole)
            came += 1
    lines = [
        f"{number_of(came, 'file')} came into {into}. A run there makes what concerns the "
        "whole set.",
        *_other_settings(sources, target),
        *_still_missing(target, videos),
    ]
    return "\n".join(lines)


def _require_apart(folders: Sequence[Folder]) -> None:
    """Raises MergeError where two of the folders have one dataset, by links."""
    seen: dict[Path, Path] = {}
    for folder in folders:
        dataset = (folder.path / folder.dataset).resolve()
        if dataset in seen:
            raise MergeError(
                f"{seen[dataset]} and {folder.path} have one dataset, {dataset}: what machines "
                "share needs no merging"
            )
        seen[dataset] = folder.path


def _raw_clips(folder: Folder) -> Mapping[str, str] | None:
    """The set's raw files by their clip's id; None where they are in a bucket, or not here."""
    raw = raw_place.of(folder.config, folder.path)
    if buckets.is_address(raw) or not raw_place.is_there(raw):
        return None
    return raw_listing.find_videos(raw, folder.config["intake"]["ignore"])


def _other_settings(sources: Sequence[Folder], target: Folder) -> Iterator[str]:
    """A line for each folder whose last run had settings that make another set."""
    for source in sources:
        differing = last_run.differences(source.config, target.config)
        if differing:
            yield (
                f"OTHER SETTINGS: {source.path} was last run with others than {target.path} "
                f"({first_of(differing, 4, '; ')}). The run there makes anew what they concern"
            )


def _still_missing(target: Folder, videos: Mapping[str, str] | None) -> Iterator[str]:
    """How many clips no shard has finished, and how many have no raw file here."""
    if videos is None:
        return
    dataset, raw = target.path / target.dataset, raw_place.of(target.config, target.path)
    done = clips_gone.ids_in(dataset / stages.FOLDERS[stages.LAST_STAGE])
    if missing := len(videos.keys() - done):
        yield (
            f"{missing:,} of {number_of(len(videos), 'clip')} are not finished in any of these "
            "folders: the run there works on them too. If that is not meant, run their shards to "
            "the end and merge again first"
        )
    if gone := clips_gone.known_by_tables(dataset, videos):
        yield (
            f"{number_of(len(gone), 'clip')} that shards worked on ({gone[0]} is the first) are "
            f"not in {raw}, so the set will not have them: put them there before the run"
        )


def _results(folders: Sequence[Folder]) -> Iterator[_File]:
    """What has to be the same wherever two of the folders have it."""
    dataset = folders[0].dataset
    kept_out = {dataset / stages.RAW, dataset / ".snakemake"}
    yield from _files([folder.path for folder in folders], dataset, kept_out)


def _all_files(folders: Sequence[Folder]) -> Iterator[_File]:
    """What comes along. Records come before the files that they are of: a file without one would be
    taken for done, whatever it was made with.
    """
    roots = [folder.path for folder in folders]
    yield from _files(roots, _RECORDS, ())
    yield from _results(folders)
    for place in (folders[0].audit / "runs", *map(Path, _HOW_IT_WENT)):
        yield from _files(roots, place, ())


def _require_one_set(folders: Sequence[Folder]) -> None:
    """Raises MergeError where a file of the dataset has other bytes in two of the folders."""
    differing = [
        f"{other / name} and {having[0] / name}"
        for name, having in _results(folders)
        for other in having[1:]
        if not filecmp.cmp(other / name, having[0] / name, shallow=False)
    ]
    if differing:
        raise MergeError(
            "these are no shards of one set, for they differ in:\n"
            f"  {first_of(differing, _DIFFERING, between=f'{chr(10)}  ')}\n"
            "Make `pins` once, copy that folder to each machine, and give each its own shard"
        )


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
    command_line.run(main)
