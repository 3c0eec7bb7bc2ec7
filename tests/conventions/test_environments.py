"""Each conda environment holds what the scripts of its rules import, lazily or not."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ferrari.provenance.code_digest import source_files

ROOT = Path(__file__).resolve().parents[2]
OURS = {"ferrari"}
#: The distribution that has a module, where its name is another.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "instant_clip_tokenizer": "instant-clip-tokenizer",
    "markupsafe": "jinja2",  # which is built on it
    "ultralytics": "ultralytics-opencv-headless",
    "vl_convert": "vl-convert-python",
    "yaml": "pyyaml",
}
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
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OURS


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
