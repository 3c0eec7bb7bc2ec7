"""The code digest: it follows imports, lazy ones too, and nothing else."""

import pytest

from scripts.lib import provenance


@pytest.fixture
def project(tmp_path, monkeypatch):
    lib = tmp_path / "scripts/lib"
    lib.mkdir(parents=True)
    for name in ("scripts/__init__.py", "scripts/lib/__init__.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "scripts/stage.py").write_text(
        "from scripts.lib import used\n\n\ndef f():\n    from scripts.lib.lazy import x\n"
    )
    (lib / "used.py").write_text("import scripts.lib.deep\nFOLDER = 'templates'\n")
    (lib / "templates").mkdir()
    (lib / "templates/page.j2").write_text("x = 1\n")
    for name in ("deep", "lazy", "unused"):
        (lib / f"{name}.py").write_text("x = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)

    def digest():
        provenance._content.cache_clear()
        provenance._imports.cache_clear()
        return provenance.code_digest("scripts/stage.py")

    return tmp_path, digest


@pytest.mark.parametrize(
    ("edited", "changes"),
    [
        ("used.py", True),
        ("deep.py", True),
        ("lazy.py", True),
        ("templates/page.j2", True),
        ("unused.py", False),
    ],
)
def test_an_edit_changes_the_digest_of_who_imports_it(project, edited, changes):
    root, digest = project
    before = digest()
    (root / f"scripts/lib/{edited}").write_text("x = 2\n")
    assert (digest() != before) is changes
