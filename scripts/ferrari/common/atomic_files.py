"""Atomic files: digests, writes that are complete or do not happen, whole-folder swaps, links."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_CHUNK = 1 << 20
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE}
_FICLONE = 0x40049409  # ioctl of Linux: share the extents of another file (btrfs, xfs, ...)


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: str | os.PathLike) -> str:
    """Hex SHA-256 of a file's content, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_path(path: str | os.PathLike) -> str:
    """SHA-256 of a file, or of a folder: the digest of its sorted `digest  relative/name` lines.

    A folder's digest equals `find . -type f | sort | xargs sha256sum | sha256sum` up to the form
    of the names, so that an OpenVINO folder can be pinned like a single file.
    """
    path = Path(path)
    if not path.is_dir():
        return sha256_file(path)
    lines = [
        f"{sha256_file(file)}  {file.relative_to(path).as_posix()}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return sha256_bytes("".join(lines).encode())


def file_states(paths: Iterable[str | os.PathLike]) -> list[tuple[str, int, int, int]]:
    """The path, size in bytes and times of change in ns (content, inode) of each file, and of each
    file in a folder.

    The inode's time reveals a file that was replaced by one with the same modification time.
    """
    files = [
        file
        for path in map(Path, paths)
        for file in ([path] if path.is_file() else sorted(path.rglob("*")))
        if file.is_file()
    ]
    seen = ((str(file), file.stat()) for file in files)
    return [(name, of.st_size, of.st_mtime_ns, of.st_ctime_ns) for name, of in seen]


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Add `path` to an OSError in the block that names no file (one raised by `write` does not)."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _OF_THE_DISK:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def written_beside(path: str | os.PathLike, clear: bool = True) -> Iterator[Path]:
    """A temporary path beside `path`, which replaces it if the block ends without an error.

    The block writes the file. A reader sees the old content or the new, never a part. `clear` first
    removes what killed processes left of their attempts.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if clear:
        clear_leftovers(path)
    temporary = path.with_name(f".{path.name[-150:]}.{os.getpid()}.part")
    try:
        with naming(path):
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike, data: bytes, durable: bool = True) -> None:
    """Write `data` to `path` so that a reader sees the old content or the new, never a part.

    `durable` waits until the data is on the disk. Images in a scratch folder do without: they count
    only once their table is written, and that comes last.
    """
    with written_beside(path, clear=durable) as temporary, open(temporary, "wb") as stream:
        stream.write(data)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())


def clear_leftovers(path: str | os.PathLike) -> None:
    """Remove the temporary files of processes that were killed while they wrote `path`.

    The folder may hold files of ten thousand clips, and each call lists it.
    """
    path = Path(path)
    begin = f".{path.name[-150:]}."
    with contextlib.suppress(FileNotFoundError, PermissionError):  # the write itself will report it
        for name in os.listdir(path.parent):
            if name.startswith(begin) and name.endswith(".part"):
                (path.parent / name).unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """`write_bytes` for UTF-8 text; lone surrogates (undecodable file names) are kept as bytes."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


@contextlib.contextmanager
def whole_folder(target: str | os.PathLike) -> Iterator[Path]:
    """A scratch folder that replaces `target` if the block ends without an error.

    An old folder is replaced as a whole, and what a killed run left beside it is removed first. So
    the final name never holds anything half-written.
    """
    target = Path(target)
    scratch = target.with_name(f".{target.name}.part")
    retired = target.with_name(f".{target.name}.old")
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (scratch, retired):
        if leftover.exists():
            shutil.rmtree(leftover)
    scratch.mkdir()
    try:
        with naming(target):
            yield scratch
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    if target.exists():
        os.rename(target, retired)
    os.rename(scratch, target)
    if retired.exists():
        shutil.rmtree(retired)


def clone_or_copy(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Copy a file's content; shares the blocks (reflink) where the file system can."""
    with (
        written_beside(target, clear=False) as temporary,
        open(source, "rb") as reader,
        open(temporary, "wb") as writer,
    ):
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:  # this file system has no reflink: an ordinary copy is as good
            shutil.copyfileobj(reader, writer, _CHUNK)


def link_or_copy(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Hard-link `source` to `target` (no second copy on disk), or copy where it cannot."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(os.path.realpath(source), target)  # of a symbolic link, link(2) links the link
    except OSError:  # another device, or a file system without hard links
        clone_or_copy(source, target)
