"""Conventions that hold the house together, read off the source itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ferrari.jobs import stage_command
from ferrari.provenance import code_digest
from tests.settings import ENVIRONMENT
from tests.source import parsed

ROOT = Path(__file__).parents[2]
LIBRARY = sorted((ROOT / "scripts/ferrari").rglob("*.py"))
STAGES = sorted((ROOT / "scripts").glob("*.py"))
RULE_FILES = sorted((ROOT / "rules").glob("*.smk"))
HEAVY = {"torch", "torchvision", "ultralytics", "openvino", "onnxruntime", "transformers"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> set[str]:
    """Top-level names of everything imported anywhere in a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_networks_runtimes_are_imported_by_backends_alone():
    backends = ROOT / "scripts/ferrari/networks/backends"
    users = {path for path in [*LIBRARY, *STAGES] if imports(parsed(path)) & HEAVY}
    assert [relative(path) for path in users if not path.is_relative_to(backends)] == []
    assert users, "the backends import them"


def test_the_digest_of_code_follows_each_import_that_the_parser_finds():
    """It reads the text, for speed: an import in a form of its own would rerun no stage."""
    modules = {_module(path): path for path in LIBRARY}
    for path in [*LIBRARY, *STAGES]:
        names = set()
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found = {file for file in code_digest._imports(path) if file.suffix == ".py"}
        assert found == {modules[name] for name in names & set(modules)}, relative(path)


def _module(path: Path) -> str:
    place = path.parent if path.name == "__init__.py" else path.with_suffix("")
    return ".".join(place.relative_to(ROOT / "scripts").parts)


def test_a_package_is_a_docstring_and_nothing_else():
    packages = [path for path in LIBRARY if path.name == "__init__.py"]
    more = [path for path in packages if not _is_a_docstring(parsed(path).body)]
    assert [relative(path) for path in more] == []
    assert packages


def _is_a_docstring(body: list[ast.stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value.value, str)


def test_packages_import_downwards_only():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_and_public_functions_say_what_they_are():
    mute = [
        f"{relative(path)}: {getattr(node, 'name', 'the module')}"
        for path in [*LIBRARY, *STAGES]
        for node in [parsed(path), *filter(_is_public, parsed(path).body)]
        if not ast.get_docstring(node)
    ]
    assert mute == []


def _is_public(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")


def test_no_error_is_swallowed_whole():
    swallowed = []
    for path in [*LIBRARY, *STAGES]:
        lines = path.read_text().splitlines()
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler) and _is_blind(node):
                raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                if not raises and "handed on" not in lines[node.lineno - 1]:
                    swallowed.append(f"{relative(path)}:{node.lineno}")
    assert swallowed == []


def _is_blind(handler: ast.ExceptHandler) -> bool:
    """True where it takes errors of every kind."""
    named = ast.walk(handler.type) if handler.type else ()
    names = {node.id for node in named if isinstance(node, ast.Name)}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def test_stage_scripts_keep_snakemake_to_a_short_guard():
    for path in STAGES:
        head, _, guard = path.read_text().partition('if __name__ == "__main__":')
        assert "from __future__" not in head, f"{path.name}: Snakemake puts its preamble before it"
        assert not re.search(r"\bsnakemake\.(input|output|params|config|log)", head), path.name
        assert "= snakemake" not in guard or len(guard.strip().splitlines()) <= 20, path.name
    assert len(STAGES) > 20


@pytest.mark.parametrize("path", RULE_FILES, ids=relative)
def test_rules_have_a_contract_a_docstring_a_log_and_a_benchmark(path):
    text = path.read_text()
    assert text.startswith("# ")
    for rule in re.split(r"^rule ", text, flags=re.M)[1:]:
        name = rule.split(":")[0]
        how = ("    script:", "    benchmark:")
        if "    shell:" in rule:
            how = ("        stage_command(",)  # the command says where the cost goes
        else:  # it is read off the name of the file (`job_costs.known`)
            named = re.fullmatch(
                r'"benchmarks/(\w+)[./].*tsv"', _section(rule, "benchmark").strip()
            )
            assert named and named[1] == name, f"the benchmark of rule {name} is called otherwise"
        for part in ('"""', "    log:", "    conda:", *how):
            assert part in rule, f"rule {name} has no {part.strip()}"


@pytest.mark.parametrize("path", RULE_FILES, ids=relative)
def test_a_stage_is_told_all_that_its_rule_has(path):
    for rule in re.split(r"^rule ", path.read_text(), flags=re.M)[1:]:
        if "    shell:" not in rule:
            continue
        call = ast.parse("stage_command" + rule.split("stage_command", 1)[1].strip()).body[0].value
        stage, *told = map(ast.literal_eval, call.args)
        named = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
        inputs, params, resources, outputs = (
            re.findall(r"^        (\w+)=", _section(rule, part), flags=re.M)
            for part in ("input", "params", "resources", "output")
        )
        means = [name for name in resources if name not in ("gpu", "nvdec")]  # tokens, not settings
        told[0] = [name.removesuffix("*") for name in told[0]]
        name = rule.split(":")[0]
        assert told == [inputs, params, *([means] if means else [])], name
        assert f'        "{stage_command.log_of(name, "{video}")}",' in _section(rule, "log")
        assert named.get("outputs", ["table"]) == outputs, rule.split(":")[0]
        assert f'code_digest("scripts/{stage}.py")' in rule


def _section(rule: str, name: str) -> str:
    """The lines of one part of a rule."""
    found = re.search(rf"^    {name}:\n((?:        .*\n)+)", rule, flags=re.M)
    return found.group(1) if found else ""


def test_the_snakefile_is_a_table_of_contents():
    assert len((ROOT / "Snakefile").read_text().splitlines()) <= 65


def test_frames_are_converted_in_one_place_on_one_thread():
    """With several threads swscale makes other bytes from call to call (see `converted`)."""
    calls = {}
    for path in [*LIBRARY, *STAGES]:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "reformat":
                threads = [one.value for one in node.keywords if one.arg == "threads"]
                calls[path.name] = [ast.literal_eval(value) for value in threads]
    assert calls == {"conversion.py": [1]}


def test_functions_fit_a_screen():
    long = []
    for path in [*LIBRARY, *STAGES]:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno - node.lineno > 60:
                long.append(f"{relative(path)}:{node.name}")
    assert long == []


@pytest.mark.parametrize(
    "script", ["00_probe_video", "01_extract_frames", "02_yolo_crop", "05_select_final"]
)
def test_stage_scripts_start_without_heavy_libraries(script):
    banned = {*HEAVY, "pandas", "scipy", "numba", "altair", "pymatting"}
    code = (
        f"import importlib, sys; importlib.import_module('{script}'); "
        f"print(sorted(set(sys.modules) & {banned!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_each_command_of_the_makefile_is_there_once():
    text = (ROOT / "Makefile").read_text()
    named = re.search(r"^\.PHONY: (.*)$", text, re.M)[1].split()
    rules = re.findall(r"^([a-z0-9-]+):.*##", text, re.M)
    assert sorted(rules) == sorted(named)


def test_a_stages_settings_come_by_its_rule_alone():
    """The configuration tells a job where things lie; what decides its output is a param."""
    used = {
        (path.name, name)
        for path in STAGES
        for name in re.findall(r'\bjob\.config\["(\w+)"\]', path.read_text())
    }
    others = {(script, name) for script, name in used if name not in ("dataset", "cache", "audit")}
    assert not others, "give it by the rule, as a param or a resource"
    assert used


#: How many more clips there are may not be known; a column holds examples.
CUT_THEMSELVES = {
    "scripts/ferrari/reports/check_words.py",
    "scripts/ferrari/qc/looks_apart.py",
}


def test_a_list_of_names_that_is_cut_says_how_many_more():
    """`first_of` does. Ten words of thirty were told as if they were all."""
    cut = {
        relative(path)
        for path in [*LIBRARY, *STAGES, *sorted((ROOT / "scripts/tools").glob("*.py"))]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "join"
        and isinstance(node.func.value, ast.Constant)
        and str(node.func.value.value).startswith((",", ";", "\n"))
        and _is_a_start(node.args[0])
    }
    assert cut == CUT_THEMSELVES


def _is_a_start(of: ast.expr) -> bool:
    """Whether an expression is the first ones of a list: `names[:5]`."""
    return (
        isinstance(of, ast.Subscript) and isinstance(of.slice, ast.Slice) and of.slice.lower is None
    )
