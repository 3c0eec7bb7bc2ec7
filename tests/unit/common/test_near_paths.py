"""The nearest path that is there."""

from __future__ import annotations

import pytest

from ferrari.common import near_paths


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("clip/anna", "clips/anna"),
        ("clips/ana", "clips/anna"),
        ("clips/Anna", "clips/anna"),
        ("clip/bob", None),
        ("elsewhere/anna", None),
        ("clips/anna", None),
        ("a file/anna", None),
    ],
)
def test_what_may_be_meant_is_there(tmp_path, asked, meant):
    (tmp_path / "clips/anna").mkdir(parents=True)
    (tmp_path / "a file").touch()
    said = near_paths.hint(tmp_path / asked)
    assert said == (f" Did you mean {tmp_path / meant}?" if meant else "")


@pytest.mark.parametrize("asked", ["~/clips", "$HOME/clips", "${HOME}/clips"])
def test_what_only_a_shell_reads_is_read(tmp_path, monkeypatch, asked):
    """In settings it is a folder of that name, below the set."""
    monkeypatch.setenv("HOME", str(tmp_path))
    said = " Nothing but a shell reads ~ and $ in a path."
    assert near_paths.hint(asked) == f"{said} Nor is there {tmp_path / 'clips'}."
    (tmp_path / "clips").mkdir()
    said += f" Did you mean {tmp_path / 'clips'}?"
    assert near_paths.hint(tmp_path / "set" / asked) == said == near_paths.hint(asked)


@pytest.mark.parametrize(
    "asked", ["~no-such-user/clips", "~$notes.docx", "$NO_SUCH_NAME/clips", "$"]
)
def test_a_name_that_no_shell_could_read_is_a_name(tmp_path, monkeypatch, asked):
    """Of a user who is not there Python makes an error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / asked).mkdir(parents=True)
    assert near_paths.hint(tmp_path / "set" / asked) == ""


def test_a_relative_path_is_told_with_where_it_leads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert near_paths.told("cache/a.pt") == f"cache/a.pt ({tmp_path}/cache/a.pt)"
    assert near_paths.told(tmp_path / "a.pt") == f"{tmp_path}/a.pt"
