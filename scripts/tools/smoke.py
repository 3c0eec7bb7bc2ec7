"""One short clip through all stages, with your settings and weights: before a night's run.

    python scripts/tools/smoke.py [--work DIR] [--config FILE ...] [--cores N]

The clip is <dataset>/sample_test.mp4 if that is there, else one made for the purpose. All that is
written goes into the folder smoke/ in DIR, which is made anew each time: the dataset stays as it
is. Says what each stage ran on, how long it took and how many items it kept. Exit status 1 if a
stage did not work, with its reason.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies
sys.path.append(str(Path(__file__).resolve().parents[2]))  # and `tests`: its generator makes clips

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import copy
import importlib
import importlib.util
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from ferrari.common import settings
from ferrari.common.errors import FerrariError
from ferrari.common.usable_cores import usable_cores
from ferrari.images import image_files
from ferrari.jobs import snakemake_command
from ferrari.ledger import job_costs, stages, tables
from ferrari.ledger.item_ids import video_id
from ferrari.networks import weight_files
from ferrari.provenance.last_run import files_to_run, require_set
from ferrari.reports import checks

FOLDER, SAMPLE, OVERLAY, LOG = "smoke", "sample_test.mp4", "smoke.yaml", "snakemake.log"
#: Samples of the clip that go through the stages: enough to see each of them work.
FRAMES = 8
#: Settings that name a file or a folder of the user's, which a run elsewhere must still find.
PATHS = (("augment", "environment_folder"), ("caption", "model"))
_LOG_LINES = 25
_RATE, _SIDE = 25, 720  # of the film that is made: frames a second, px


class SmokeError(FerrariError, RuntimeError):
    """There is nothing to send through, or no place for it; the message says what to do."""


@dataclass(frozen=True)
class Result:
    """What became of a stage: `fault` is "" where it worked."""

    stage: str
    where: str = ""
    seconds: float | None = None
    kept: int = 0
    rows: int = 0
    fault: str = ""


def send_through(work: Path, config: Mapping, cores: int) -> list[Result]:
    """Run the clip in `work`/smoke; what became of each stage. Raises SmokeError before the run."""
    folder = work / FOLDER
    _clear(folder)
    raw = folder / "dataset" / stages.RAW
    raw.mkdir(parents=True)
    (folder / OVERLAY).write_text(yaml.safe_dump(settings_for(config, work), sort_keys=False))
    sample = work / config["dataset"] / SAMPLE
    if sample.is_file():
        (raw / SAMPLE).symlink_to(sample.resolve())
        print(f"clip: {sample}")
    else:
        print(f"clip: made for the purpose; yours would be taken from {sample}")
        make_clip(raw / SAMPLE, config, work)
    command = snakemake_command.command(
        "--resources", "gpu=1", cores=cores, config_files=[folder / OVERLAY]
    )
    with open(folder / LOG, "w") as log:
        ended = snakemake_command.run_to_end(
            command, cwd=folder, env=_environment(work), stdout=log, stderr=subprocess.STDOUT
        )
    found = results(folder, config["package"]["formats"])
    if ended and not any(result.fault for result in found):
        found.append(Result("the run", fault=f"Snakemake ended with {ended}"))
    return found


def _environment(work: Path) -> dict[str, str]:
    """That of a run elsewhere: a folder of weights that it names is seen from the set's."""
    given = os.environ.get(weight_files.GIVEN)
    named = {weight_files.GIVEN: os.path.abspath(work / given)} if given else {}
    return {**os.environ, **named}


def _clear(folder: Path) -> None:
    """Remove what an earlier call left, and nothing else."""
    if folder.exists() and not (folder / OVERLAY).is_file():
        raise SmokeError(f"{folder} is in the way and is not of this command: move it elsewhere")
    shutil.rmtree(folder, ignore_errors=True)


def settings_for(config: Mapping, work: Path) -> dict:
    """The user's settings for a run in a folder below `work`, with few samples and own places."""
    own = copy.deepcopy(weight_files.seen_from(work.resolve(), config))
    own |= {"dataset": "dataset", "qc_reports": "qc_reports", "audit": "audit", "raw_videos": None}
    own["intake"]["ignore"] = []
    own["caption"]["overrides"] = None  # those name images of the dataset
    # One clip cannot show who the subject is: faces are only detected, if a run would do so.
    own["subject"] |= {"mode": "single", "references": None, "not": None}
    own["subject"]["voting_clips"] = min(1, config["subject"]["voting_clips"])
    own["extract"]["max_frames"] = min(FRAMES, config["extract"]["max_frames"] or FRAMES)
    for section, name in PATHS:
        if own[section][name]:
            own[section][name] = str((work / own[section][name]).resolve())
    return own


# --- a clip ---------------------------------------------------------------------------------------


def make_clip(path: Path, config: Mapping, work: Path) -> None:
    """A clip of a few seconds with somebody in it whom the detector of the settings of the set in
    the folder `work` can find.

    The demo's network knows drawn figures alone; others get the pictures that ultralytics brings.
    """
    pictures = _pictures()
    detector = weight_files.wanted(settings_for(config, work), "detect")
    if pictures and not all(map(weight_files.is_ours, detector)):
        _film(path, pictures)
        return
    try:
        encode, spec = (importlib.import_module(f"tests.generator.{n}") for n in ("encode", "spec"))
    except ImportError as error:
        raise SmokeError(
            f"the generator of clips is not installed here; put a short clip of a person at "
            f"{Path(config['dataset']) / SAMPLE}"
        ) from error
    figures = (spec.FigureSpec(seed=131, framing="full"),)
    encode.write_clip(spec.ClipSpec(seed=31, n_frames=100, scenes=("room",), figures=figures), path)


def _pictures() -> list[Path]:
    package = importlib.util.find_spec("ultralytics")
    folders = (package.submodule_search_locations if package else None) or []
    return sorted(picture for folder in folders for picture in Path(folder).glob("assets/*.jpg"))


def _film(path: Path, pictures: Sequence[Path]) -> None:
    """Pan and zoom over each picture for two seconds."""
    import av
    import cv2
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = _SIDE, _SIDE, "yuv420p"
        for picture in pictures:
            image = image_files.read(picture)
            height, width = image.shape[:2]
            for step in np.linspace(0, 1, 2 * _RATE):
                side = int(min(height, width) * (1 - 0.15 * step))
                x, y = int((width - side) * step), int((height - side) * (0.5 + 0.3 * step))
                window = cv2.resize(image[y : y + side, x : x + side], (_SIDE, _SIDE))
                frame = av.VideoFrame.from_ndarray(window.astype(np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


# --- what became of it ----------------------------------------------------------------------------


def results(folder: Path, formats: Sequence[str], clip: str = SAMPLE) -> list[Result]:
    """What became of each stage of the run of `clip` in `folder`, in the order of flow."""
    video = video_id(clip)
    found = [
        _result(
            folder,
            f"{stages.WORDS[stage].number} {stage}",
            stages.table(stage, video),
            f"{stage}/{video}",
        )
        for stage in stages.FOLDERS
    ]
    final = _result(folder, "5 select", stages.FINAL_CSV, "select_final")
    packed = [
        _result(folder, f"5 {name}", f"{stages.FINAL}/{name}.csv", f"package/{name}")
        for name in formats
    ]
    return [*found, final, _reports(folder), *packed]


def _reports(folder: Path) -> Result:
    """How many checks of the reports found nothing wrong; a FAIL stops packaging."""
    pages = [page.with_suffix(".csv") for page in sorted((folder / "qc_reports").glob("qc*.html"))]
    found = [check for page in pages for check in checks.read(page)]
    failed = [check.name for check in found if check.status == checks.FAIL]
    fault = f"FAIL: {', '.join(failed)}" if failed else "" if found else "did not run"
    kept = len(found) - len(failed)
    return Result("  reports", "CPU", None, kept, len(found), fault)


def _result(folder: Path, name: str, table: str, cost: str) -> Result:
    path = folder / "dataset" / table
    if not path.is_file():
        return Result(name, fault="did not run")
    rows = tables.read_table(path)
    kept = tables.kept(rows)
    reasons = Counter(row["reason"] for row in rows if row["reason"])
    fault = "" if kept else f"kept nothing: {_counted(reasons) or 'it was given nothing'}"
    where = " + ".join(sorted({_where(row) for row in kept or rows})) or "CPU"
    return Result(
        name,
        where,
        job_costs.seconds(folder / job_costs.PLACE / f"{cost}.tsv"),
        len(kept),
        len(rows),
        fault,
    )


def _where(row: Mapping[str, str]) -> str:
    """What a row says of what made it: its decoder, or its network and device."""
    if "decoder" in row:
        reason = row.get("decoder_reason", "")
        return f"{row['decoder']}{f' ({reason})' if reason else ''}"
    network = row.get("detector") or row.get("segmenter")
    return f"{network} on {row['device']}" if network else "CPU"


def _counted(reasons: Counter) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def text(found: Sequence[Result]) -> str:
    """The results as a table."""
    lines = [f"{'stage':<15}{'worked':<8}{'time':>8}  {'kept':<12}on"]
    for result in found:
        time = "" if result.seconds is None else f"{result.seconds:.1f} s"
        kept = f"{result.kept} of {result.rows}" if result.rows else ""
        worked = "NO" if result.fault else "yes"
        lines.append(
            f"{result.stage:<15}{worked:<8}{time:>8}  {kept:<12}{result.fault or result.where}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; prints the table and returns the exit status."""
    parser = argparse.ArgumentParser(prog="smoke", description=__doc__.partition("\n")[0])
    parser.add_argument("--work", default=".", type=Path, help="the set's folder")
    parser.add_argument("--config", nargs="*", default=[], help="settings files on top of its own")
    parser.add_argument("--cores", type=int, default=usable_cores())
    given = parser.parse_args(arguments)
    try:
        require_set(given.work)
        files, said = files_to_run(given.work, given.config)
        if said:
            print(said, file=sys.stderr)
        config = settings.load(*files)
        settings.check(config, settings.SCHEMA, files)
        found = send_through(given.work, config, given.cores)
    except (FerrariError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(text(found))
    folder = given.work / FOLDER
    if not any(result.fault for result in found):
        print(f"\nAll stages work. The pictures are in {folder}/dataset, the reports in "
              f"{folder}/qc_reports/index.html.")  # fmt: skip
        return 0
    lines = (folder / LOG).read_text(errors="replace").splitlines()
    print(f"\nNot all stages work. The end of {folder / LOG}:", *lines[-_LOG_LINES:], sep="\n  ")
    return 1


if __name__ == "__main__":
    command_line.run(main)
