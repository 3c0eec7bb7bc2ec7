"""Snakemake in a process that has imported it already: a test starts it dozens of times.

What is imported ahead is Snakemake and other people's packages, and nothing of ours: for each run
the workflow is read and the library imported anew, from the files as they are. Tests of the process
itself (its command line, its signals, its death) start one of their own.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

#: What a run imports of other people's. One that is missing here costs each run its import.
_AHEAD = (
    *("snakemake.cli", "snakemake.profiles", "snakemake.report.html_reporter"),
    *("cv2", "jsonschema", "nbformat", "smart_open", "yte"),
)

#: Where a Python of its own looks: without what pytest put before it.
_PLAIN_PATH = [path for path in sys.path if path.startswith((sys.prefix, sys.base_prefix))]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(list(_AHEAD))


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`snakemake ARGUMENTS` in `folder` to its end; stdout and stderr together in `stdout`.

    Like `subprocess.run`, it also waits for those that were started and still hold the output.
    """
    reader, writer = _CONTEXT.Pipe(duplex=False)
    given = dict(os.environ if environment is None else environment)
    child = _CONTEXT.Process(target=_snakemake, args=(list(arguments), str(folder), given, writer))
    try:
        child.start()
        writer.close()
        with open(os.dup(reader.fileno()), encoding="utf-8", errors="replace") as stream:
            said = stream.read()
        child.join()
    finally:
        reader.close()
        if child.is_alive():
            child.kill()
            child.join()
    assert child.exitcode is not None
    return subprocess.CompletedProcess(["snakemake", *arguments], child.exitcode, said)


def on_stubs(command: Sequence[str | Path], folder: Path) -> str:
    """As `bench.stubs.quiet`: its command line, from the word behind `snakemake` on."""
    words = [str(word) for word in command]
    done = run(words[words.index("snakemake") + 1 :], folder)
    if done.returncode:
        raise RuntimeError(f"snakemake on stubs failed: {done.stdout[-2000:]}")
    return done.stdout


def _snakemake(
    arguments: list[str], folder: str, environment: dict[str, str], output: Connection
) -> None:
    """In the new process: `main` amid what `python -m snakemake` finds around it."""
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.path[:] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path += [path for path in _PLAIN_PATH if path not in sys.path]

    from snakemake import cli

    sys.argv = [str(Path(cli.__file__).with_name("__main__.py")), *arguments]
    try:
        cli.main()
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves without them
        sys.stdout.flush()
