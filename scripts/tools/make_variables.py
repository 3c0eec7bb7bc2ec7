"""Whether the variables that stand on make's command line are ones that its targets take.

    python scripts/tools/make_variables.py NAME ... -- [TARGET ...]

Prints one sentence where one is not, and nothing else. make itself takes any word with a `=` and
says nothing, so that `make plan WOKR=folder` planned another set. What a target takes is read from
the Makefile: what its lines name, and whatever the Makefile gives a value of its own with `?=` or
`:=` (CORES, VENV). The Makefile asks before there is an environment: this needs nothing but Python.
"""

import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
_OF_TARGETS = re.compile(r"^([a-z0-9][a-z0-9 -]*):(?!=)(.*)$")
_VALUE = re.compile(r"^([A-Z_]+) *([:?]?)= *(.*)$")
_NAMED = re.compile(r"\$[({](?:[a-z]+ )?([A-Z_]+)\b")
#: What a target's programs read from the environment is named where it says what it does.
_READ = re.compile(r"\bFERRARI_[A-Z]+\b")
#: make's own: the folder that it works in, its files, the program that runs recipes.
_OF_MAKE = frozenset({"CURDIR", "MAKECMDGOALS", "MAKEFILE_LIST", "SHELL"})


class Variables:
    """The variables that a Makefile's targets take. `own` have a value in the Makefile, of which
    `offered` are there to be given another one; `derived` are worked out of others when asked for.
    """

    def __init__(self, text: str) -> None:
        self.own: dict[str, str] = {}
        self.offered: set[str] = set()
        self.derived: set[str] = set()
        self._lines: dict[str, list[str]] = {}
        targets: list[str] = []
        for line in text.replace("\\\n", " ").splitlines():
            if line.startswith("\t"):
                self._add(targets, line)
            elif found := _OF_TARGETS.match(line):
                targets = found[1].split()
                line, _, told = found[2].partition("##")
                self._add(targets, line + "".join(map("$({})".format, _READ.findall(told))))
            elif found := _VALUE.match(line):
                targets = []
                self.own[found[1]] = found[3]
                kinds = {"?": self.offered, "": self.derived}
                kinds.get(found[2], set()).add(found[1])

    def _add(self, targets: Iterable[str], line: str) -> None:
        for target in targets:
            self._lines.setdefault(target, []).append(line)

    @property
    def targets(self) -> list[str]:
        """All that have lines of their own."""
        return list(self._lines)

    def taken_by(self, target: str) -> set[str]:
        """The names that a target's lines have, and those of the values that these name."""
        waiting, found = list(self._lines.get(target, ())), set()
        while waiting:
            for name in _NAMED.findall(waiting.pop()):
                if name not in found:
                    found.add(name)
                    waiting.append(self.own.get(name, ""))
        return found - set(self.own) - _OF_MAKE


def fault(names: Sequence[str], targets: Sequence[str], text: str) -> str:
    """What to say of the first of `names` that none of `targets` takes; "" where all are taken, and
    where a target is none of the Makefile's, of which make has something to say.
    """
    variables = Variables(text)
    if not set(targets) <= set(variables.targets):
        return ""
    taken = set().union(*map(variables.taken_by, targets))
    known = taken | (variables.own.keys() - variables.derived) | _OF_MAKE
    for name in names:
        if name not in known:
            return _told(name, taken, targets, variables)
    return ""


def _told(name: str, taken: set[str], targets: Sequence[str], variables: Variables) -> str:
    command = f"make {' '.join(targets)}"
    others = [target for target in variables.targets if name in variables.taken_by(target)]
    if others:
        return f"{command} does not take {name}, which is for: {', '.join(others)}"
    near = difflib.get_close_matches(name.upper(), sorted(taken | variables.offered), n=1)
    if near:
        return f"{name} is not known; did you mean {near[0]}?"
    takes = f"takes {', '.join(sorted(taken))}" if taken else "takes no variable"
    return (
        f"{name} is not known: {command} {takes}. What is for the environment stands before make: "
        f"{name}=... {command}"
    )


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    split = arguments.index("--")
    targets = arguments[split + 1 :] or ["help"]
    print(fault(arguments[:split], targets, MAKEFILE.read_text("utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
