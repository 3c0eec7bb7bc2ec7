"""One tree of exceptions: drawn in full, one base, and each can cross to another process."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ferrari.common import errors
from ferrari.images.user_pictures import PictureTooLargeError
from ferrari.processes.device_client import _Died
from ferrari.processes.failures import Failure
from ferrari.processes.model_verdicts import ModelDiedError
from ferrari.provenance.trace import UnknownItemError
from ferrari.video.decoding.base import DecodePlan, PlanChangedError
from tests.conventions.test_house_rules import HEAVY
from tests.settings import ENVIRONMENT

SCRIPTS = Path(__file__).parents[2] / "scripts"


def module_names() -> list[str]:
    """The library's, the stages' and the tools', as they are imported."""
    paths = (path.relative_to(SCRIPTS).with_suffix("") for path in SCRIPTS.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


@pytest.fixture(scope="module")
def exceptions() -> dict[str, type[BaseException]]:
    """Every exception class of the product, by name: all its modules are imported for them."""
    found = {}
    for module in map(importlib.import_module, module_names()):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, BaseException) and kind.__module__ == module.__name__:
                assert name not in found, f"two classes are called {name}"
                found[name] = kind
    return found


#: What the classes are made with whose `__init__` takes more than a message.
ARGUMENTS = {
    ModelDiedError: (Failure("MODEL_CRASHED", "died"),),
    _Died: ("killed", frozenset({1})),
    PictureTooLargeError: ("too large", 300.5),
    PlanChangedError: (DecodePlan(threads=2),),
    UnknownItemError: ("clip_1", ["clip_2"]),
}


def drawn() -> dict[str, str]:
    """The tree in the docstring: each class and the one that it is drawn under."""
    above: dict[int, str] = {0: errors.FerrariError.__name__}
    tree = {errors.FerrariError.__name__: "Exception"}
    for indent, name in re.findall(r"^( +)· (\w+) +\S", errors.__doc__, re.M):
        depth = len(indent) // 2
        assert name not in tree, f"{name} is drawn twice"
        tree[name], above[depth] = above[depth - 1], name
    return tree


def test_the_tree_in_the_docstring_is_the_tree(exceptions):
    assert drawn() == {name: kind.__bases__[0].__name__ for name, kind in exceptions.items()}


def test_every_exception_is_one_of_the_pipeline_s_and_pickles(exceptions):
    for kind in exceptions.values():
        assert issubclass(kind, errors.FerrariError)
        error = kind(*ARGUMENTS.get(kind, ("what, where, what to do",)))
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (kind, str(error), vars(error))


def test_to_read_an_exception_of_a_model_s_process_loads_no_runtime(exceptions):
    """The process of a job never imports what it runs apart."""
    library = [kind for kind in exceptions.values() if kind.__module__.startswith("ferrari.")]
    assert library
    pickled = [pickle.dumps(kind(*ARGUMENTS.get(kind, ("x",)))) for kind in library]
    code = (
        f"import pickle, sys; [pickle.loads(each) for each in {pickled!r}]; "
        f"print(sorted(set(sys.modules) & {HEAVY!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
