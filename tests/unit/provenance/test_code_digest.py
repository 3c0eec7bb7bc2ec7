"""The code digest: it follows imports, lazy ones too, and nothing else."""

import pytest

from ferrari.provenance import code_digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    lib = tmp_path / "scripts/ferrari"
    lib.mkdir(parents=True)
    (lib / "__init__.py").write_text("")
    (tmp_path / "scripts/stage.py").write_text(
        "from ferrari import used\n\n\ndef f():\n    from ferrari.lazy import x\n"
    )
    (lib / "used.py").write_text("import ferrari.deep\nFOLDER = 'templates'\n")
    (lib / "templates").mkdir()
    (lib / "templates/page.j2").write_text("x = 1\n")
    for name in ("deep", "lazy", "unused"):
        (lib / f"{name}.py").write_text("x = 1\n")
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)

    def digest():
        code_digest._content.cache_clear()
        code_digest._imports.cache_clear()
        return code_digest.code_digest("scripts/stage.py")

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
    (root / f"scripts/ferrari/{edited}").write_text("x = 2\n")
    assert (digest() != before) is changes
