"""The script of the charts is bundled once, and is what the bundler gives."""

import pytest
import vl_convert

from ferrari.reports import vega


@pytest.fixture
def made(monkeypatch):
    """How often it was bundled; each `bundle()` is one of another process."""
    calls = []

    def bundled(vl_version):
        calls.append(vl_version)
        return f"var größe = '{vl_version}';\nsecond();\n"

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundled)
    monkeypatch.setattr(vega, "_folder", None)
    yield calls
    vega.bundle.cache_clear()


def bundle() -> str:
    vega.bundle.cache_clear()
    return vega.bundle()


def test_it_is_made_once_and_then_read(made, tmp_path):
    script = bundle()
    vega.keep_in(tmp_path / "cache")
    assert [bundle() for _ in range(3)] == [script] * 3
    assert len(made) == 2, "without a folder, and for the folder"


@pytest.mark.parametrize("damage", [lambda d: d[:-3], lambda d: b"", lambda d: b"\xff" + d])
def test_a_file_that_is_not_what_was_put_there_is_made_again(made, tmp_path, damage):
    vega.keep_in(tmp_path)
    script = bundle()
    (place,) = tmp_path.glob("*.js")
    place.write_bytes(damage(place.read_bytes()))
    assert bundle() == script == bundle() and len(made) == 2


def test_a_folder_that_cannot_be_written_to_costs_time_alone(made, tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "file").touch()
    vega.keep_in(tmp_path / "file")
    assert bundle() == bundle() and len(made) == 2
    assert "is not kept" in caplog.text
