"""Raw files under every kind of name, and what is no file at all: what a folder may really hold."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace
from pathlib import Path

from tests.generator import faults
from tests.generator.spec import ClipSpec
from tests.workflow.small_run import SPECS

#: Names of files that are no videos; each ends in stage 0.
BROKEN = (
    "two  spaces.mp4",
    " leading and trailing . ",
    'quote\'s "double".mp4',
    "new\nline.mp4",
    "tab\there.mp4",
    "carriage\rreturn.mp4",
    "-rf.mp4",
    "--version",
    "$(touch pwned).mp4",
    "`touch pwned`.mp4",
    "; touch pwned; .mp4",
    "a && touch pwned.mp4",
    "a | tee pwned",
    "%s%n%x{}.mp4",
    "{video}.mp4",
    "{wildcards.video} {0}.mp4",
    "*?[a-z].mp4",
    "back\\slash\\..\\x.mp4",
    "=cmd|'/c calc'!A1.mp4",
    "+1-1.mp4",
    "@SUM(A1).mp4",
    "<script>alert(1)<\u2215script>.mp4",
    "<img src=x onerror=alert(1)>.mp4",
    "&lt;b&gt; &amp;.mp4",
    "'-alert(1)-'.mp4",
    "</title><h1>.mp4".replace("/", "\u2044"),
    "http:example.org.mp4",
    "concat:a|b.mp4",
    "\U0001f3ac\U0001f468\u200d\U0001f469\u200d\U0001f467.mp4",
    "\u05e9\u05dc\u05d5\u05dd \u202egnp.4pm",
    "z\u0351\u036b\u0343\u036a\u0302a\u0348\u034dl\u0321g\u0317o\u0323.mp4",
    "Case.mp4",
    "case.mp4",
    "CASE.MP4",
    unicodedata.normalize("NFC", "caf\u00e9.mp4"),
    unicodedata.normalize("NFD", "caf\u00e9.mp4"),
    os.fsdecode(b"latin-1 caf\xe9.mp4"),
    os.fsdecode(b"\xff\xfe.mp4"),
    "n" * 246 + ".mp4",
    "\u65e5" * 83 + ".mp4",
    "no ending",
    "ends in dots...",
    "CON.mp4",
    "odd\n{sub} $(folder)/-x ' \" clip.mp4",
    "x../y...mp4",
)
HIDDEN = (".DS_Store", "._clip.mp4", "..x.mp4", ".hidden/clip.mp4")
GOOD = ("-o $(touch pwned) {video}\n<b>'\".mp4", os.fsdecode(b"\xe9 \xff ; good.mp4"))


def write_broken(raw: Path) -> set[str]:
    """Write every name of BROKEN and HIDDEN as a short text; the names that have to be rows."""
    for name in (*BROKEN, *HIDDEN):
        file = raw / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"no video: {name!a}")
    return set(BROKEN)


def write_good(raw: Path) -> set[str]:
    """Write a sound clip under each name of GOOD."""
    spec = next(iter(SPECS.values()))
    for number, name in enumerate(GOOD):
        faults.good(raw / name, replace(spec, seed=spec.seed + number, n_frames=13))
    return set(GOOD)


def write_no_files(raw: Path, outside: Path) -> set[str]:
    """Put FIFOs, devices, links and folders into `raw`; the names that have to be rows.

    `outside` gets the sound file that a link leads to, and a folder of clips.
    """
    (outside / "clips").mkdir(parents=True)
    (outside / "clips/secret.mp4").write_text("never looked at")
    tiny = ClipSpec(seed=3, width=160, height=120, n_frames=3, figures=())
    faults.good(outside / "tiny.mp4", tiny)
    os.mkfifo(raw / "pipe.mp4")
    (raw / "folder.mp4").mkdir()
    (raw / "device.mp4").symlink_to("/dev/zero")
    (raw / "tty.mp4").symlink_to("/dev/tty")
    (raw / "kernel.mp4").symlink_to("/proc/self/mem")
    (raw / "nowhere.mp4").symlink_to("nothing there")
    (raw / "loop.mp4").symlink_to("loop.mp4")
    (raw / "loop folder").symlink_to(".")
    (raw / "linked folder").symlink_to(outside / "clips")
    (raw / "out of the folder.mp4").symlink_to(outside / "tiny.mp4")
    links = {entry.name for entry in os.scandir(raw) if entry.is_symlink()}
    return links | {"folder.mp4", "pipe.mp4"}
