"""What has this machine, what would a run use of it, and what has to be installed to get more?

    python scripts/tools/doctor.py [--work DIR] [--config FILE ...]

One page of text. Each question about a card is put to a child process, and what a run would use is
told by the functions that a run asks. Nothing is written. Exit status: 0, 1 if a run with these
settings cannot work, 2 if there are none that can be read.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import importlib
import logging
import os
import platform
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from importlib import metadata

from ferrari.common import settings
from ferrari.common.counts import number_of
from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER
from ferrari.ledger import raw_listing, raw_place, tables
from ferrari.ledger.reasons import OK
from ferrari.ledger.stages import VIDEOS_CSV
from ferrari.ledger.tables import LedgerError
from ferrari.networks import caption_model, section_places, weight_files, weight_kinds
from ferrari.networks.backends import onnx_runtime, torch_runtime
from ferrari.processes import devices
from ferrari.processes.failures import Failure
from ferrari.processes.limited_call import run_limited
from ferrari.processes.nvidia_driver import NEEDED_CUDA, NEEDED_RELEASE, Driver, look
from ferrari.provenance.last_run import files_to_run, require_set
from ferrari.video.decoding import registry
from ferrari.video.decoding.base import DecoderUnavailableError
from ferrari.video.decoding.card_pays import CodedClip

WIDTH = 110
#: In an environment, what it was made from (envs/install.py), and the lock that is for a card.
LOCKS, CUDA_LOCK = "locks.txt", "cuda124.lock"
#: Free memory of a card, in MB, below which networks may not fit beside what is there.
CARD_MB = 4000
#: Free space on a disk, in GB, below which a night's run may fill it.
DISK_GB = 20
#: Below this much memory for each core, in GB, as many jobs as cores may not fit.
CORE_GB = 1.5
RUNTIMES = ("torch", "onnxruntime", "openvino")
#: What a part of a run is called on the page.
NAMES = {"detect": "2 detect", "subject": "2 faces", "mask": "3 mask"}
#: Clips for which it is said what would decode them before any of the set's is known: as phones
#: film, a minute at 30 fps.
EXAMPLES = {
    "e.g. H.264, 1080p": CodedClip("h264", "yuv420p", 2.07, frames=1800, group=30, fps=30),
    "e.g. HEVC 10 bit, 2160p": CodedClip("hevc", "yuv420p10le", 8.29, 1800, group=30, fps=30),
}
#: So many kinds of a set's own clips are told, the most frequent first.
_KINDS = 3


@dataclass
class Page:
    """What is found: headings with their lines, what stands in a run's way, and what would help."""

    parts: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    blocking: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    def part(self, title: str) -> Callable[[str, str], None]:
        """Begin a part; what is returned adds a line to it: a name, and what there is."""
        lines: list[tuple[str, str]] = []
        self.parts.append((title, lines))
        return lambda name, text: lines.append((name, text))

    def text(self) -> str:
        """The page."""
        lines: list[str] = []
        for title, rows in self.parts:
            lines += ["", title]
            lines += [line for name, text in rows for line in _wrapped(f"  {name:<15} ", text)]
        for title, found in (
            ("can a run work?", self.blocking or ["yes"]),
            ("to get more", self.advice),
        ):
            lines += ["", title] if found else []
            lines += [line for text in found for line in _wrapped("  - ", text)]
        return "\n".join(lines[1:]) + "\n"


def _wrapped(head: str, text: str) -> list[str]:
    below = " " * len(head)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=below,
        break_on_hyphens=False,
        break_long_words=False,
    )


def examine(work: Path, config: Mapping) -> Page:
    """Look at the machine, and at what a run in `work` with this configuration would use of it."""
    page = Page()
    _machine(page, work, config)
    driver = _card(page)
    _runtimes(page, driver)
    _run(page, work, config)
    return page


# --- the machine ----------------------------------------------------------------------------------


def _machine(page: Page, work: Path, config: Mapping) -> None:
    line = page.part("machine")
    cores, memory = len(os.sched_getaffinity(0)), _memory_gb()
    line("cores", f"{cores} usable of {os.cpu_count()}")
    line("memory", f"{memory:.0f} GB")
    if memory < cores * CORE_GB:
        fit = max(1, int(memory / CORE_GB))
        page.advice.append(
            f"{memory:.0f} GB of memory are little for {cores} jobs with a network each: use "
            f"--cores {fit} if jobs are killed"
        )
    line("/dev/shm", _room(Path("/dev/shm")))
    nearly_full: dict[int, list[str]] = {}
    for name in ("dataset", "cache"):
        folder = work / config[name]
        there = _existing(folder)
        line(f"{name}'s disk", f"{_room(there)}, {folder}")
        if shutil.disk_usage(there).free < DISK_GB * 1e9:
            nearly_full.setdefault(there.stat().st_dev, []).append(str(folder))
    for folders in nearly_full.values():
        said = f"the disk of {' and '.join(folders)} has less than {DISK_GB} GB left: make room"
        page.advice.append(said)
    versions = (f"{name} {metadata.version(name)}" for name in ("snakemake", "av", "numpy"))
    line("python", f"{platform.python_version()} in {sys.prefix}; {', '.join(versions)}")


def _memory_gb() -> float:
    """Memory of the machine, or what its container may take of it if that is less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    told = limit.read_text().strip() if limit.is_file() else ""
    return min(whole, int(told) if told.isdigit() else whole) / 1e9


def _room(folder: Path) -> str:
    if not folder.is_dir():
        return "there is none"
    usage = shutil.disk_usage(folder)
    return f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f}"


def _existing(folder: Path) -> Path:
    """The nearest folder above that is there already."""
    return next(path for path in (folder, *folder.resolve().parents) if path.is_dir())


# --- the card -------------------------------------------------------------------------------------


def _card(page: Page) -> Driver | None:
    line = page.part("card")
    found = run_limited(look, timeout_s=60, memory_mb=None)
    if isinstance(found, Failure):
        found = f"asking the NVIDIA driver failed: {found.detail}"
    if not isinstance(found, Driver):
        line("driver", found)
        return None
    line("driver", f"{found.release or 'release not told'}, runs CUDA {_dotted(found.cuda)}")
    for number, card in enumerate(found.cards):
        free = "" if card.free_mb is None else f", {card.free_mb / 1024:.1f} free"
        memory = f"{card.memory_mb / 1024:.1f} GB{free}" if card.memory_mb else "memory not told"
        line(f"cuda:{number}", f"{card.name}, {memory}, compute {_dotted(card.capability)}")
        if card.free_mb is not None and card.free_mb < CARD_MB:
            page.advice.append(
                f"only {card.free_mb} MB of the memory of cuda:{number} are free: end what else "
                "uses it (nvidia-smi lists it)"
            )
    if not found.cards:
        line("cards", "none shown; nvidia-smi, or CUDA_VISIBLE_DEVICES, may say why")
        return None
    problem = devices.nvdec_problem()
    line("NVDEC", problem or "its library loads; each clip then shows whether it is decoded")
    if problem:
        page.advice.append(f"decoding on the card: {problem}")
    return found


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


# --- runtimes -------------------------------------------------------------------------------------


def _runtimes(page: Page, driver: Driver | None) -> None:
    """Each runtime of networks, tried in a child: does it load, does it use the card?"""
    line = page.part("runtimes, each tried in a process of its own")
    asks = {"torch": torch_runtime.problem, "onnxruntime": onnx_runtime.runtime_problem}
    idle = []
    for name in RUNTIMES:
        found = run_limited(_loaded, name, timeout_s=300, memory_mb=None)
        version, problem = ("", found.detail) if isinstance(found, Failure) else found
        if problem:
            line(name, f"does not load: {problem}")
            page.blocking.append(f"{name} does not load; `make setup` installs what is locked")
            continue
        if name not in asks or driver is None:
            line(name, f"{version}, loads; runs on the CPU")
            continue
        problem = asks[name](0)
        line(name, f"{version}, {f'runs on the CPU: {problem}' if problem else 'runs on cuda:0'}")
        idle += [name] if problem else []
    if idle and driver:
        page.advice.append(_to_use_the_card(driver, idle))


def _loaded(name: str) -> tuple[str, str]:
    """A module's version, and why it cannot be imported, or ""."""
    try:
        return importlib.import_module(name).__version__.partition("-")[0], ""
    except (ImportError, OSError) as error:
        return "", str(error)


def _to_use_the_card(driver: Driver, idle: Sequence[str]) -> str:
    names = " and ".join(idle)
    locks = Path(sys.prefix) / LOCKS
    if locks.is_file() and CUDA_LOCK in locks.read_text():
        return (
            f"{names} on the card: the packages for it are installed already, so what stands above "
            "is the driver's to answer: see nvidia-smi, and whether another program holds the card"
        )
    if driver.cuda < NEEDED_CUDA:
        return (
            f"{names} on the card: install NVIDIA driver {NEEDED_RELEASE} or newer (this one runs "
            f"CUDA {_dotted(driver.cuda)}), then `make setup-gpu`"
        )
    return f"{names} on the card: `make setup-gpu` installs what works with this driver"


# --- a run ----------------------------------------------------------------------------------------


def _run(page: Page, work: Path, config: Mapping) -> None:
    line = page.part("a run with these settings")
    _clips(page, line, work, config)
    _require_writable(page, work, config)
    if missing := weight_files.given_is_missing(work):
        page.advice.append(missing)
    _decoders(page, line, config["extract"], _kinds_of_clips(work / config["dataset"]) or EXAMPLES)
    for section in weight_files.sections(config):
        name = NAMES[section]
        with _heard() as told:
            try:
                line(name, _network(page, work, config, section))
            except (weight_files.ModelError, devices.DeviceError, OSError) as error:
                line(name, "cannot work")
                page.blocking.append(f"{section}: {error}")
        for text in told:
            line("  why", text)
    line("4 augment", "CPU")
    caption = config["caption"]
    model = (
        f"{caption['model']} on the CPU" if caption["backend"] == "transformers" else "no network"
    )
    line("5 caption", model)
    try:
        with chdir(work):
            caption_model.require(caption)
    except caption_model.CaptionerError as error:
        page.blocking.append(str(error))


def _kinds_of_clips(dataset: Path) -> dict[str, CodedClip]:
    """The most frequent kinds of clips that runs have found in the set, each with its longest."""
    table = dataset / VIDEOS_CSV
    try:
        rows = tables.read_stage(table, "videos") if table.is_file() else []
    except LedgerError:  # a damaged table is verify's to tell
        return {}
    kinds: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        if row["verdict"] == OK:
            kind = tuple(row[key] for key in ("codec", "pix_fmt", "width", "height"))
            kinds.setdefault(kind, []).append(row)
    clips, told = number_of(sum(map(len, kinds.values())), "clip"), {}
    for kind in sorted(kinds, key=lambda kind: (-len(kinds[kind]), kind))[:_KINDS]:
        codec, pix_fmt, width, height = kind
        longest = max(kinds[kind], key=lambda row: float(row["duration_s"] or 0))
        count = f"{len(kinds[kind]):,} of {clips}"
        told[f"{codec} {pix_fmt}, {width}x{height} ({count})"] = CodedClip.of(longest)
    return told


def _decoders(
    page: Page,
    line: Callable[[str, str], None],
    extract: Mapping,
    clips: Mapping[str, CodedClip],
) -> None:
    name, pictures_fps = "1 extract", max(extract["fps"], extract["linking_fps"])
    try:
        for what, clip in clips.items():
            decoders, reason = registry.candidates(extract["decoder"], clip, pictures_fps)
            names = ", then ".join(decoder.name for decoder in decoders)
            line(name, f"{what}: {names}{f' ({reason})' if reason else ''}")
            name = ""
    except DecoderUnavailableError as error:
        line(name, "cannot work")
        page.blocking.append(str(error))


def _clips(page: Page, line: Callable[[str, str], None], work: Path, config: Mapping) -> None:
    line("the set", str(work.absolute()))
    raw = raw_place.of(config, work)
    try:
        raw_place.require_apart(config, work)
        count = len(raw_listing.look_through(raw, config["intake"]["ignore"]).videos)
        line("raw clips", f"{count} in {raw}")
    except FileNotFoundError:
        line("raw clips", f"there is no folder {raw}")
        if config["raw_videos"]:
            page.blocking.append(
                f"raw_videos: there is no folder {os.path.abspath(raw)}; correct it, or make the "
                "folder"
            )
            return
        count = 0
    except (OSError, FerrariError) as error:
        line("raw clips", "cannot be listed")
        page.blocking.append(str(error))
        return
    if not count:
        page.advice.append(f"put clips into {raw}, or set raw_videos to the folder that has them")


def _require_writable(page: Page, work: Path, config: Mapping) -> None:
    closed: dict[Path, list[str]] = {}
    for name in ("dataset", "qc_reports", "audit", "cache"):
        place = _existing(work / config[name])
        if not os.access(place, os.W_OK | os.X_OK):
            closed.setdefault(place, []).append(name)
    for place, names in closed.items():
        page.blocking.append(f"{', '.join(names)}: {place} cannot be written to")


def _network(page: Page, work: Path, config: Mapping, section: str) -> str:
    """What a section's networks are, and where they run; raises what would end the run."""
    with chdir(work):  # where a run would be
        wanted = weight_kinds.fit(config, section)
        place = section_places.place_of(config, section)
        absent = [weights.name for weights in wanted if not weights.path.exists()]
    backends = {
        "detect": config["detect"]["backend"],
        "subject": " and ".join(weight_files.face_settings(config).values()),
        "mask": config["mask"]["segmenter"],
    }
    if absent:
        text = (
            "the first run fetches weights, which needs the internet; `make weights`, with the "
            "same WORK, does so now"
        )
        page.advice += [text] if text not in page.advice else []
    names = ", ".join(weights.name for weights in wanted)
    fetched = f" ({', '.join(absent)}: not fetched yet)" if absent else ""
    where = f"on {place.device} ({place.runtime})"
    return f"{backends[section]} with the weights {names}, {where}{fetched}"


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the library logs meanwhile: a run would say it too."""
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    LOGGER.addHandler(handler)
    propagate, LOGGER.propagate = LOGGER.propagate, False
    try:
        yield told
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.propagate = propagate


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints the page and returns the exit status."""
    parser = argparse.ArgumentParser(prog="doctor", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", default=".", type=Path, help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    given = parser.parse_args(arguments)
    try:
        require_set(given.work)
        files, said = files_to_run(given.work, given.config)
        if said:
            print(said, file=sys.stderr)
        config = settings.load(*files)
        settings.check(config, settings.SCHEMA, files)
    except settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    page = examine(given.work, config)
    print(page.text(), end="")
    return int(bool(page.blocking))


if __name__ == "__main__":
    command_line.run(main)
