"""Raw clips in a bucket of an S3 object store: list it, and copy one object at a time to the disk.

Addresses are `s3://bucket/prefix`. Credentials and endpoint are those of the AWS tools: the
variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL
and AWS_PROFILE, the files in ~/.aws, the role of the machine. No address may contain a key, so none
gets into settings, logs, tables or records.

The client is pyarrow, which is installed anyway, for Parquet. It is loaded on first use.
"""

from __future__ import annotations

import functools
import os
import re
import time
from dataclasses import dataclass
from typing import Any

from ferrari.common.errors import FerrariError

_ADDRESS = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<key>.*))?", re.S)
_PIECE = 8 << 20  # bytes a request
_ATTEMPTS = 3  # whole copies of an object; each request is tried again by itself
_CONNECT_S, _REQUEST_S = 10.0, 60.0


class BucketError(FerrariError, RuntimeError):
    """A bucket cannot be used: a wrong address, endpoint or key, or a network that is down."""


class ObjectError(FerrariError, ValueError):
    """One object cannot be read, and says why; its bucket answers."""


class GoneObjectError(ObjectError):
    """An object is no longer in its bucket."""


@dataclass(frozen=True)
class Listed:
    """An object as its bucket's listing has it: its size in bytes, its time of change in ns."""

    size: int
    modified_ns: int

    @property
    def state(self) -> str:
        """A text that changes whenever the object is written: its size and time."""
        return f"{self.size} bytes, {self.modified_ns} ns"


@dataclass(frozen=True)
class Seen:
    """An object as its store describes it: its size in bytes and its ETag, which a new content
    changes.
    """

    size: int
    etag: str


def is_address(place: str | os.PathLike) -> bool:
    """True for text that begins like the address of a bucket, valid or not."""
    return os.fspath(place).startswith("s3:")


def listed(address: str) -> dict[str, Listed]:
    """The objects below an address, by what their keys have behind it; none if there are none.

    Markers of folders (keys that end in a slash) are left out. Raises BucketError.
    """
    from pyarrow import fs

    bucket, prefix = _parts(address)
    place = f"{bucket}/{prefix}".rstrip("/")

    def is_file(info: Any) -> bool:
        """pyarrow lists markers as empty files, without the slash; asked for one it sees none."""
        if info.type == fs.FileType.File and not info.size and _is_plain(info.path):
            info = _store().get_file_info(info.path)
        return info.type == fs.FileType.File

    try:
        found = _store().get_file_info(
            fs.FileSelector(place, recursive=True, allow_not_found=bool(prefix))
        )
        files = [info for info in found if is_file(info)]
        if not found and _store().get_file_info(bucket).type == fs.FileType.NotFound:
            raise FileNotFoundError(f"there is no bucket {bucket}")
    except OSError as error:
        raise _refused(address, error) from error
    return {info.path[len(place) + 1 :]: Listed(info.size, info.mtime_ns) for info in files}


def look(address: str) -> Seen:
    """What the store says of one object; raises ObjectError or BucketError."""
    return _of_object(address, lambda: _described(_open(address)))


def fetch(address: str, path: str | os.PathLike) -> Seen:
    """Copy an object to `path`, whole and of one content; what the store says of it.

    Raises ObjectError or BucketError; an OSError is that of writing to `path`.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _of_object(address, lambda: _copy(address, path))
        except ObjectError as error:
            if not isinstance(error, _TornError) or attempt == _ATTEMPTS:
                raise
            time.sleep(2**attempt)
    raise AssertionError("the last attempt returns or raises")


class _TornError(ObjectError):
    """The copy differs from the object: worth another try."""


class _StoreError(FerrariError):
    """What reading from the store raised, apart from what writing to the disk raises."""


def _of_object(address: str, ask: Any) -> Any:
    """What `ask` gives. If the store refuses, the object is to blame where its folder can be asked
    for, and the way to the bucket where it cannot.
    """
    try:
        return ask()
    except _StoreError as error:
        told = error.__cause__
        assert isinstance(told, OSError)
    folder = "/".join(part for part in _parts(address.rpartition("/")[0]) if part)
    try:
        _store().get_file_info(folder)
    except OSError as error:
        raise _refused(address, error) from error
    if isinstance(told, FileNotFoundError):
        raise GoneObjectError("is no longer in the bucket") from told
    raise ObjectError(f"cannot be fetched: {_said(told)}") from told


def _copy(address: str, path: str | os.PathLike) -> Seen:
    source = _open(address)
    before, length = _described(source), 0
    with open(path, "wb") as target:
        while piece := _asked(source.read, _PIECE):
            target.write(piece)
            length += len(piece)
    if length != before.size:
        raise _TornError(f"ended after {length} of {before.size} bytes")
    if _described(_open(address)) != before:
        raise _TornError("was replaced while it was fetched")
    return before


def _open(address: str) -> Any:
    name = "/".join(_parts(address))
    if not _is_plain(name):
        raise ObjectError(
            "cannot be fetched: its key has an empty part, `.` or `..` in it; rename it"
        )
    return _asked(_store().open_input_file, name)


def _is_plain(name: str) -> bool:
    """False for keys that pyarrow lists, but takes for another one when asked for them."""
    return {"", ".", ".."}.isdisjoint(name.split("/"))


def _described(source: Any) -> Seen:
    etag = _asked(source.metadata).get("ETag", b"")
    return Seen(_asked(source.size), etag.decode("ascii", "replace").strip('"'))


def _asked(question: Any, *arguments: object) -> Any:
    """What a question to the store gives; what it raises is told apart from errors of the disk."""
    try:
        return question(*arguments)
    except OSError as error:
        raise _StoreError from error


@functools.cache
def _store() -> Any:
    """The connection of this process. A child that is forked must not use its parent's."""
    from pyarrow import fs

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return fs.S3FileSystem(
        endpoint_override=endpoint or None,
        connect_timeout=_CONNECT_S,
        request_timeout=_REQUEST_S,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=5),
    )


def _parts(address: str) -> tuple[str, str]:
    """Bucket and key, without a slash at its end."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise BucketError(
            f"{_without_key(address)} is no address of a bucket: write s3://bucket or "
            "s3://bucket/folder. Keys and endpoints belong into the environment "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL)"
        )
    return found["bucket"], (found["key"] or "").rstrip("/")


def _without_key(address: str) -> str:
    """What stands before an @ may be a key."""
    return re.sub(r"//[^/]*@", "//...@", address)


def _refused(address: str, error: OSError) -> BucketError:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    asked = f"the server at {_without_key(endpoint)}" if endpoint else "AWS"
    return BucketError(
        f"{address} cannot be read: {asked} says: {_said(error)}. Check raw_videos, the network, "
        "AWS_ENDPOINT_URL, AWS_REGION and the key (it needs s3:ListBucket and s3:GetObject)"
    )


def _said(error: OSError) -> str:
    """The store's words in one line, without what differs each time: they stand in a row."""
    said = " ".join(str(error).split())
    said = re.sub(r"^When .* in bucket '[^']*': ", "", said)  # its address stands before it
    return re.sub(r"(; Details: | \(?Request ID: ).*$", "", said).rstrip(".") or "no reason"
