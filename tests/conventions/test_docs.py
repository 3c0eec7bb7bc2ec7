"""The documentation, held to the code: links, functions, and tables that repeat what code says.

`test_stale_names` checks that the files and tests exist which it names.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ferrari.ledger import stages
from ferrari.reports.titles import REPORTS
from ferrari.subject import judgements
from tests.source import parsed

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LIBRARY = ROOT / "scripts/ferrari"
PAGES = sorted(
    [*ROOT.glob("*.md")]
    + [page for room in ("config", "docs", "models") for page in (ROOT / room).rglob("*.md")],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def code_spans(text: str) -> list[str]:
    """What stands in backticks on one line, outside code blocks."""
    return _CODE.findall(_BLOCK.sub("", text))


def first_cells(page: str, heading: str) -> list[str]:
    """The first cells of the first table below a heading of a page."""
    section = (DOCS / page).read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [row.split(" | ")[0].strip("| ") for row in rows_of(section)]


def rows_of(text: str) -> list[str]:
    """The lines of all tables in a text, without their heads and rulers."""
    lines = text.splitlines()
    heads = {n for n, line in enumerate(lines[1:]) if re.fullmatch(r"[|\s:-]+-[|\s:-]+", line)}
    table = [n for n, line in enumerate(lines) if line.startswith("|")]
    return [lines[n] for n in table if n not in heads and n - 1 not in heads]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere():
    lost, followed = [], 0
    for page in PAGES:
        for link in _LINK.findall(page.read_text()):
            if "://" in link or link.startswith("mailto:"):
                continue
            followed += 1
            file, _, anchor = link.partition("#")
            target = page.parent / file if file else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                lost.append(f"{relative(page)}: {link}")
    assert lost == []
    assert followed > 200


# --- names --------------------------------------------------------------------------------------


def is_setting(name: str) -> bool:
    """True for a dotted name of config.yaml."""
    value = CONFIG
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def defined(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """What a module or a class defines by name."""
    found: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
        elif isinstance(node, ast.Assign):
            names = [name for target in node.targets for name in ast.walk(target)]
            found |= {name.id: node for name in names if isinstance(name, ast.Name)}
    return found


def fault_of_name(dotted: str) -> str:
    """What is wrong with a name such as `video.probing.look` or `02_yolo_crop.crop_video`."""
    parts = dotted.split(".")
    path = ROOT / "scripts" if (ROOT / f"scripts/{parts[0]}.py").exists() else LIBRARY
    while parts and (path / parts[0]).is_dir():
        path /= parts.pop(0)
    if not parts:
        return ""  # a package
    path /= f"{parts.pop(0)}.py"
    if not path.is_file():
        return f"{dotted}: there is no {relative(path)}"
    body = parsed(path).body
    for name in parts:
        if name not in defined(body):
            return f"{dotted}: {relative(path)} defines no {name}"
        body = getattr(defined(body)[name], "body", [])
    return ""


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("video.probing.look", True),
        ("processes.isolated_model.Isolated.run", True),
        ("02_yolo_crop.crop_video", True),
        ("ledger.columns.COLUMNS", True),
        ("video.probing.gaze", False),
        ("video.staring.look", False),
        ("processes.isolated_model.Isolated.jog", False),
    ],
)
def test_the_judge_of_names(name, sound):
    assert (fault_of_name(name) == "") is sound


def test_functions_that_are_named_exist():
    rooms = [path.name for path in LIBRARY.iterdir() if path.is_dir()]
    scripts = [path.stem for path in (ROOT / "scripts").glob("*.py")]
    dotted = re.compile(rf"(?:ferrari\.)?(?:{'|'.join([*rooms, *scripts])})(?:\.\w+)+(?:\(\))?")
    faults, looked_up = [], 0
    for page in PAGES:
        for span in filter(dotted.fullmatch, code_spans(page.read_text())):
            is_file = span.endswith((".csv", ".json", ".parquet", ".md", ".py"))
            if not is_file and not is_setting(span):
                looked_up += 1
                fault = fault_of_name(span.removeprefix("ferrari.").removesuffix("()"))
                faults += [f"{relative(page)}: {fault}"] if fault else []
    assert faults == []
    assert looked_up > 100


# --- tables that repeat code --------------------------------------------------------------------


def test_no_command_gives_its_target_to_configfile_or_quiet():
    """Both take all words up to the next option; a target among them is a file that is missing."""
    swallowed = [
        f"{relative(page)}: {line.strip()}"
        for page in PAGES
        for line in page.read_text().splitlines()
        for words in re.findall(r"--(?:configfile|quiet)((?: [^-`|#\s][^`|#\s]*)+)", line)
        if any(Path(word).suffix in (".csv", ".html", ".parquet") for word in words.split())
    ]
    assert not swallowed


def test_the_settings_page_has_the_defaults():
    rows = rows_of((DOCS / "settings.md").read_text())
    for row in rows:
        name, default = (cell.strip(" `|") for cell in row.split(" | ")[:2])
        value = CONFIG
        for key in name.split("."):
            value = value[key]
        assert yaml.safe_load(default) == value, name
    assert len(rows) > 10


def test_the_stages_page_has_every_stage_and_its_folder():
    rows = "\n".join(rows_of((DOCS / "stages.md").read_text()))
    for stage, folder in stages.FOLDERS.items():
        assert re.search(rf"^\|[^|]+\| `{stage}` \| `{re.escape(folder)}/` \|", rows, re.MULTILINE)


def test_the_stages_page_has_every_report():
    assert first_cells("stages.md", "Reports") == [f"`{name}`" for name in REPORTS]


def backticked_in_first_cells(page: str) -> set[str]:
    """The names in backticks in the first cells of a page's tables."""
    rows = rows_of((DOCS / page).read_text())
    return {name for row in rows for name in _CODE.findall(row.split(" | ")[0])}


def test_the_page_of_the_subject_has_the_words_of_every_judgement():
    page = (ROOT / "docs/subject.md").read_text()
    missing = [
        code for code, words in judgements.WORDS.items() if f"| `{code}` | {words} |" not in page
    ]
    assert not missing


def test_the_page_of_the_subject_has_the_thresholds_of_the_networks():
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]
    rows = rows_of((DOCS / "subject.md").read_text())
    for name, entry in models.items():
        # The demo's network is for drawn people: nobody chooses it.
        if entry["kind"] == "face_embedding" and not name.startswith("demo-"):
            assert f"| `{name}` | {entry['above']} | {entry['below']} |" in rows


def test_the_licences_page_has_every_direct_dependency():
    project = PYPROJECT["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = [*project["dependencies"], *extras]
    asked = {Requirement(line).name.lower() for line in lines} - {project["name"]}
    assert asked - backticked_in_first_cells("licences.md") == set()


def test_the_licences_page_has_all_weights():
    models = yaml.safe_load((ROOT / "config/models.yaml").read_text())["models"]
    assert models.keys() - backticked_in_first_cells("licences.md") == set()


def test_the_architecture_page_has_the_layers_of_the_import_linter():
    rows = rows_of((DOCS / "architecture.md").read_text())
    shown: dict[int, list[str]] = {}
    for row in rows:
        if found := re.match(r"\| (\d) \| `(\w+)` \|", row):
            shown.setdefault(int(found[1]), []).append(found[2])
    (contract,) = PYPROJECT["tool"]["importlinter"]["contracts"]
    held = {layer: line.split(" | ") for layer, line in enumerate(contract["layers"][::-1], 1)}
    assert {layer: sorted(names) for layer, names in shown.items()} == {
        layer: sorted(names) for layer, names in held.items()
    }
