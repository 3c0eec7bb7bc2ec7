"""Raw files on the disk: read without ever blocking, and recognised later.

A folder of raw clips may hold FIFOs, broken links and files that are still being copied. Between
two stages a clip may vanish or be replaced. Yet no frame may carry the digest of a file that it was
not made from.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass

from ferrari.common.atomic_files import sha256_bytes, sha256_file
from ferrari.common.errors import FerrariError

_CHANGED = "changed while it was looked at (is it still being copied?)"
#: What a system answers of a file that is there, and will be as closed in the next run. All other
#: answers may be those of a mount that went away (EIO, ESTALE, ENOTCONN).
_KEPT_FROM_US = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}


class NoFileError(FerrariError, ValueError):
    """The path cannot be read as a regular file; the message says why."""


class RawFileChangedError(FerrariError, RuntimeError):
    """A raw file went away or changed while the pipeline ran."""


@dataclass(frozen=True)
class RawFile:
    """A file's content, and what tells whether it is still the same one."""

    sha256: str
    size: int
    state: tuple[int, ...]  # device, inode, size, time of change

    def check_still(self, path: str | os.PathLike) -> None:
        """Raise what `read` would if `path` is no longer that file, or has been written to."""
        try:
            same = _state(os.stat(path)) == self.state
        except OSError as error:
            if _is_gone(path):
                raise gone(path) from error
            same = False
        if not same:
            raise NoFileError(_CHANGED)


def read(path: str | os.PathLike) -> RawFile:
    """Read a regular file for its digest; raises NoFileError for anything else.

    A path that is not there at all, not even as a link, raises RawFileChangedError: it was when
    the folder was listed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would wait for a writer
    except OSError as error:
        raise _unread(path, error) from error
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise NoFileError("is no regular file (a FIFO, a device or a folder)")
        # Files of the kernel say that they are empty, and may wait for ever when read.
        digest = sha256_file(f"/dev/fd/{descriptor}") if seen.st_size else sha256_bytes(b"")
        after = os.fstat(descriptor)
    except OSError as error:
        raise _unread(path, error) from error
    finally:
        os.close(descriptor)
    if _state(after) != _state(seen):
        raise NoFileError(_CHANGED)
    return RawFile(digest, seen.st_size, _state(seen))


def state(path: str | os.PathLike) -> str:
    """What a raw file looks like from outside: while it stays the same, the file is not read again.

    Size and time of change of a regular file. What is no such file, or is empty, has no time here:
    files and devices of the kernel, which a link may lead to, get a new one all the while, and
    `read` makes the same of them whatever it is.
    """
    try:
        seen = os.stat(path)
    except OSError as error:
        return error.strerror or str(error)
    if not stat.S_ISREG(seen.st_mode):
        return "no regular file"
    return f"{seen.st_size} bytes, {seen.st_mtime_ns} ns" if seen.st_size else "0 bytes"


def gone(path: str | os.PathLike) -> RawFileChangedError:
    """The error for a raw file that was there when the run began.

    An error and no row: a row would outlive a disk that was away for a minute.
    """
    return RawFileChangedError(
        f"{os.fspath(path)!r} is gone: it was there when the run began. Put it back or leave it "
        "out, and start the run again."
    )


def _unread(path: str | os.PathLike, error: OSError) -> FerrariError:
    """What to raise for a file that could not be opened, or not be read to its end."""
    return gone(path) if _is_gone(path) else NoFileError(f"cannot be read: {error.strerror}")


def _is_gone(path: str | os.PathLike) -> bool:
    """True if nothing is at the path, or its disk does not answer. In a folder that may be listed
    but not entered, or below a path that is too long for the system, a file is there and cannot be
    asked.
    """
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno not in _KEPT_FROM_US
    return False


def _state(seen: os.stat_result) -> tuple[int, ...]:
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns
