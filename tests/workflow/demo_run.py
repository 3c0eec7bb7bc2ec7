"""The demo, run for real once a test session, and what is asked of Snakemake about it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.stubs import NOBODY_JUDGED
from tests.workflow import warm_snakemake

ROOT = Path(__file__).parents[2]


@dataclass
class Demo:
    """A demo's working folder, the repository whose workflow runs in it, and the truth."""

    folder: Path
    repository: Path = ROOT
    config: Path = ROOT / "config/demo.yaml"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    @property
    def configs(self) -> tuple[str, ...]:
        """The settings files. Where there are no pictures of the subject, nobody is judged."""
        pictures = (self.folder / "references").is_dir()
        return (str(self.config), *([] if pictures else [str(NOBODY_JUDGED)]))

    @property
    def truth(self) -> dict[str, dict]:
        """The generator's truth by file name."""
        data = json.loads((self.folder / "truth.json").read_text())
        return {entry["file"]: entry for entry in data["files"]}

    def command(self, *arguments: str, overlay: dict | None = None) -> list[str]:
        """`snakemake` on this folder with the demo's settings, and an overlay on top of them."""
        return [sys.executable, "-m", "snakemake", *self.words(*arguments, overlay=overlay)]

    def words(self, *arguments: str, overlay: dict | None = None) -> list[str]:
        """The words of that command after `snakemake`."""
        configs = list(self.configs)
        if overlay:
            file = self.folder / "overlay.yaml"
            file.write_text(yaml.safe_dump(overlay, sort_keys=False))
            configs.append(str(file))
        snakefile = str(self.repository / "Snakefile")
        return ["--snakefile", snakefile, *arguments, "--configfile", *configs]

    def run(self, *arguments: str, check: bool = True, overlay: dict | None = None) -> str:
        """Run Snakemake to the end; its output."""
        done = warm_snakemake.run(self.words(*arguments, overlay=overlay), self.folder)
        if check and done.returncode:
            raise AssertionError(done.stdout[-6000:])
        return done.stdout

    def planned(self, *arguments: str, overlay: dict | None = None) -> dict[str, int]:
        """Jobs that a dry run would do, by rule; empty if nothing is to be done."""
        output = self.run("-n", *arguments, overlay=overlay)
        table = re.search(r"Job stats:\n.*?\n[- ]+\n(.*?)\n\n", output, re.S)
        assert table or "Nothing to be done" in output, output[-3000:]
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return {row[0]: int(row[1]) for row in rows if row[0] != "total"}

    def copy(self, folder: Path) -> Demo:
        """The same state in another folder (times of change kept, so nothing is to be done)."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Demo(folder, self.repository, self.config)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every file of the dataset, by path."""
        return {
            path.relative_to(self.dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.dataset.rglob("*"))
            if path.is_file() and ".snakemake" not in path.parts
        }


def make_demo(folder: Path) -> Demo:
    """Write the demo's clips and truth into `folder`, and run everything."""
    raw = folder / "dataset/00_raw_videos"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.generator",
            str(raw),
            "--pictures",
            str(folder),
            "--truth",
            str(folder / "truth.json"),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    demo = Demo(folder)
    demo.run("--cores", str(os.cpu_count()))
    return demo
