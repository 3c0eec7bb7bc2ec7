"""Each conda environment holds what the scripts of its rules import, lazily or not.

And the fork server of a run starts in each of them.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ferrari.jobs.stage_command import RULES
from ferrari.provenance.code_digest import source_files
from tests.settings import ENVIRONMENT

ROOT = Path(__file__).resolve().parents[2]
OURS = {"ferrari"}
#: The distribution that has a module, where its name is another.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "instant_clip_tokenizer": "instant-clip-tokenizer",
    "markupsafe": "jinja2",  # which is built on it
    "ultralytics": "ultralytics-opencv-headless",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}
#: Used where it is there; nothing of ours installs it.
OPTIONAL = {"tensorrt"}
_BY_NAME = {"import_module", "find_spec"}


def rules() -> dict[str, tuple[str, str]]:
    """(environment, script), both paths below the repository, by the name of the rule."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
            script = re.search(r'stage_command\(\s*"(\w+)"|"\.\./scripts/(\w+)\.py"', rule)
            conda = re.search(r'"\.\./(envs/\w+\.yaml)"', rule)[1]
            found[rule.split(":")[0]] = (conda, f"scripts/{script[1] or script[2]}.py")
    return found


def imports(source: Path) -> set[str]:
    """Top-level names of the modules of others that a file imports, by `import_module` too."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _BY_NAME:
            names |= {word.value for word in node.args if isinstance(word, ast.Constant)}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS - OPTIONAL


def missing(conda: Path, script: Path) -> dict[str, list[str]]:
    """Distributions that a script needs and an environment lacks, with the files that do."""
    listed = yaml.safe_load(conda.read_text())["dependencies"][-1]["pip"]
    held = {Requirement(line).name for line in listed}
    found: dict[str, list[str]] = {}
    for source in sorted(source_files(script)):
        for name in imports(source) if source.suffix == ".py" else ():
            if (distribution := DISTRIBUTIONS.get(name, name)) not in held:
                found.setdefault(distribution, []).append(source.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("rule", rules())
def test_an_environment_holds_what_its_rule_imports(rule):
    conda, script = rules()[rule]
    assert missing(ROOT / conda, ROOT / script) == {}


def test_what_an_environment_lacks_is_found(tmp_path):
    """Lazy imports, and imports by name, count too."""
    poor = tmp_path / "poor.yaml"
    poor.write_text(yaml.safe_dump({"dependencies": [{"pip": ["numpy==2", "pyyaml==6"]}]}))
    lacks = missing(poor, ROOT / "scripts/03_mask_subject.py")
    assert {"onnxruntime", "openvino", "pillow", "pymatting", "scipy", "torch"} <= lacks.keys()
    assert not {"numpy", "pyyaml"} & lacks.keys()
    assert lacks["pymatting"] == ["scripts/ferrari/matting/pymatting_loader.py"]
    compiled = ("closed_form", "foreground")
    assert lacks["numba"] == [f"scripts/ferrari/matting/{name}.py" for name in compiled]


# --- the fork server in them ----------------------------------------------------------------------

LOAD = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from ferrari.jobs import loaded_before_forks
loaded_before_forks.load()
print(*sorted(set(sys.modules) & set(loaded_before_forks.RULES)))
"""


def stages() -> dict[str, set[str]]:
    """Modules of the stages that a fork server serves, by environment."""
    found: dict[str, set[str]] = {}
    for conda, script in rules().values():
        if Path(script).stem in RULES:
            found.setdefault(conda, set()).add(Path(script).stem)
    return found


def hidden_in(conda: Path) -> set[str]:
    """Modules that some rule imports and an environment does not hold."""
    sources = {source for _, script in rules().values() for source in source_files(ROOT / script)}
    names = {name for source in sources if source.suffix == ".py" for name in imports(source)}
    listed = yaml.safe_load(conda.read_text())["dependencies"][-1]["pip"]
    held = {Requirement(line).name for line in listed}
    return {name for name in names if DISTRIBUTIONS.get(name, name) not in held}


def load(hidden: set[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", LOAD.format(hidden=hidden)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("conda", stages())
def test_the_fork_server_starts_in_each_environment_with_the_stages_of_its_rules(conda):
    hidden = hidden_in(ROOT / conda)
    assert hidden
    done = load(hidden)
    assert done.returncode == 0, done.stderr
    assert stages()[conda] <= set(done.stdout.split())


def test_the_fork_server_does_not_start_without_a_module_of_ours():
    done = load({"03_mask_subject"})
    assert done.returncode and "03_mask_subject" in done.stderr
