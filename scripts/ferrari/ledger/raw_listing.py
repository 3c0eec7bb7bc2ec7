"""The list of raw clips, in a folder or in a bucket.

This is separate from `raw_folder`, which only knows folders: pictures of the user's are found with
that one, too.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ferrari.common import first_bytes, near_paths
from ferrari.common.counts import first_of, number_of
from ferrari.common.errors import FerrariError
from ferrari.common.visible_text import shown
from ferrari.ledger import left_out, raw_folder, raw_place
from ferrari.ledger.item_ids import video_id
from ferrari.ledger.left_out import FolderNames, LeftOut, why_left_out
from ferrari.ledger.raw_folder import DuplicateIdError, RawFolder, is_named_as_film
from ferrari.storage import buckets, run_listing

#: Files of a kind that are named in a message.
_NAMED = 3


class NoClipsError(FerrariError, ValueError):
    """There is no clip to work on; the message names the folder, its state and what to do."""


@dataclass
class RawClips(RawFolder):
    """The raw files. For a bucket, `objects` has the listing's entry by the clip's id, and
    `listing` everything in the bucket by its key.
    """

    objects: dict[str, buckets.Listed] = field(default_factory=dict)
    listing: dict[str, buckets.Listed] = field(default_factory=dict)


def look_through(place: str | os.PathLike, ignore: Sequence[str] = ()) -> RawClips:
    """The clips at a place, and what is left out by name (`raw_folder.look_through`).

    In a bucket every object is a file, and the common beginnings of keys are folders. Raises
    OSError if a folder, BucketError if a bucket cannot be listed.
    """
    place = os.fspath(place)
    if not buckets.is_address(place):
        found = raw_folder.look_through(place, ignore)
        return RawClips(found.videos, found.left_out)
    seen = RawClips()
    objects = seen.listing = run_listing.listed(place)
    for file in _clips(objects, ignore, seen.left_out):
        video = video_id(file)
        if video in seen.videos:
            raise DuplicateIdError(
                f"{file!r} and {seen.videos[video]!r} both get the id {video}; rename one of them"
            )
        seen.videos[video] = file
    seen.videos = dict(sorted(seen.videos.items()))
    seen.left_out = dict(sorted(seen.left_out.items()))
    seen.objects = {video: objects[file] for video, file in seen.videos.items()}
    return seen


def require_clips(place: str | os.PathLike, found: RawFolder, *, animations: bool) -> None:
    """Raise NoClipsError if `look_through` found no clip, or if the folder does not exist.

    There is no clip either if each file is known to be something else (see `no_film`).
    """
    others = no_film(place, found.videos, animations=animations, most=1)
    if len(others) < len(found.videos):
        return
    state, near = "holds no files", ""
    if found.videos:
        one = number_of(len(others), "file")
        state = f"holds {one}, and none is a video ({kinds_told(others, found.videos)})"
    elif found.left_out:
        state = "holds no clip: all in it are files of the system, or match intake.ignore"
    elif not raw_place.is_there(place):
        state, near = "does not exist", near_paths.hint(place)
    raise NoClipsError(
        f"the folder of raw clips {os.fspath(place)} {state}: put your clips there, or point the "
        f"setting raw_videos at the folder that has them.{near}"
    )


def takes_animations(config: Mapping) -> bool:
    """Whether animated pictures (GIF and the like) count as video under these settings."""
    return config["probe"]["animations"] == "take"


def no_film(
    place: str | os.PathLike,
    videos: Mapping[str, str],
    *,
    animations: bool,
    most: int | None = None,
) -> dict[str, str]:
    """The kind ("picture") of each of `videos` (id: path) that is known by its first bytes not to
    be a video; with `most`, the search stops when so many files may be videos.

    A file with a video's extension may be one, whatever its bytes, and so may every object of a
    bucket: stage 0 decides. `animations`: whether animated pictures count as video.
    """
    if buckets.is_address(place):
        return {}
    unknown = [video for video, file in videos.items() if not is_named_as_film(file)]
    film = len(videos) - len(unknown)
    found = {}
    for video in unknown:
        if most is not None and film >= most:
            break
        path = os.path.join(place, videos[video])
        if kind := first_bytes.no_film(path, animations=animations):
            found[video] = kind
        else:
            film += 1
    return found


def kinds_told(kinds: Mapping[str, str], files: Mapping[str, str]) -> str:
    """'4 pictures: a.png, b.png and 2 more; 1 text: notes.txt', from ids with their kinds."""
    by_kind: dict[str, list[str]] = {}
    for video, kind in kinds.items():
        by_kind.setdefault(kind, []).append(shown(files[video], 60))
    return "; ".join(
        f"{number_of(len(names), kind)}: {first_of(sorted(names), _NAMED)}"
        for kind, names in sorted(by_kind.items())
    )


def closed_folders(place: str | os.PathLike, videos: Mapping[str, str]) -> list[str]:
    """Those of `videos` (id: path) that are folders which cannot be listed, or paths that cannot
    even be examined (a disk that was disconnected). Their contents are unknown.
    """
    if buckets.is_address(place):
        return []
    return [path for file in videos.values() if _is_closed(path := os.path.join(place, file))]


def _is_closed(path: str) -> bool:
    try:
        if os.path.islink(path) or not stat.S_ISDIR(os.stat(path).st_mode):
            return False
        os.listdir(path)
    except FileNotFoundError:  # went away since it was listed
        return False
    except OSError:
        return True
    return False


def find_videos(place: str | os.PathLike, ignore: Sequence[str] = ()) -> dict[str, str]:
    """The `videos` of `look_through`."""
    return look_through(place, ignore).videos


def sizes(files: Mapping[str, str], place: str | os.PathLike) -> dict[str, int]:
    """Bytes of each of `files` (id: path) now; -1 if one cannot be examined.

    A bucket is listed for this, also within a job, since it may have changed since the run began.
    Raises BucketError if it cannot be listed.
    """
    if buckets.is_address(place):
        objects = buckets.listed(os.fspath(place))
        return {
            video: objects[file].size if file in objects else -1 for video, file in files.items()
        }
    found = {}
    for video, file in files.items():
        try:
            found[video] = os.stat(os.path.join(place, file)).st_size
        except OSError:
            found[video] = -1
    return found


def left_out_files(
    place: str | os.PathLike, why: Mapping[str, LeftOut]
) -> Iterator[tuple[str, LeftOut, str, int | str]]:
    """Each file that is left out at a place, as from `left_out.listed`."""
    if not why:
        return iter(())
    is_bucket = buckets.is_address(place)
    return left_out.listed(_BucketNames(place) if is_bucket else FolderNames(place), why)


def _clips(
    files: Iterable[str], ignore: Sequence[str], not_clips: dict[str, LeftOut]
) -> Iterator[str]:
    """Those of the objects that count as clips; adds the rest to `not_clips`."""
    for file in files:
        folders = itertools.accumulate(file.split("/")[:-1], "{}/{}".format)
        for path, is_folder in (*((folder, True) for folder in folders), (file, False)):
            if why := why_left_out(path, is_folder, ignore):
                not_clips[path] = why
                break
        else:
            yield file


class _BucketNames:
    """Names and sizes below the address of a bucket."""

    def __init__(self, address: str | os.PathLike) -> None:
        self._objects = run_listing.listed(os.fspath(address))

    def files_below(self, path: str) -> Iterator[str]:
        """The objects in a folder."""
        return (file for file in self._objects if file.startswith(f"{path}/"))

    def size(self, path: str) -> int | str:
        """Bytes of an object; empty for one that is gone."""
        found = self._objects.get(path)
        return "" if found is None else found.size
