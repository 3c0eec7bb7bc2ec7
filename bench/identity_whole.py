"""What it costs a whole run to tell who is who: `python -m bench.identity_whole`.

Real clips of one person, and one of two side by side, go through all stages and reports: as in the
mode `single`, in which no face is searched, and with pictures of the person as references, in
turns. Everything counts, interpreters and loading too. About four minutes on two idle cores.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import yaml

from bench import identity_composed as composed
from bench import identity_people, peers, prepare
from bench.measure import ROOT, Cost, PeerMissingError, by_turns, median, ratio, run
from bench.prepare import Bench
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.networks import weight_files

_HERE = Path(__file__).parent
#: Four clips of one of the signers, and two people side by side.
CLIPS = (
    *(f"people/asl__{name}.mkv" for name in ("brother", "help", "no", "student")),
    "derived/s_side_by_side.mp4",
)
_REFERENCES = 4
_SINGLE, _JUDGED = "single", "references"
_FACES = {"detector": "yunet", "embedding": "sface"}


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.identity_whole", description=__doc__)
    parser.add_argument("--work", type=Path, default=_HERE / "work")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clips", type=int, default=len(CLIPS), help="the last so many of them")
    options = parser.parse_args(given)
    bench = Bench(options.work.resolve(), options.repeats)
    try:
        contenders = _contenders(bench, options.clips)
    except PeerMissingError as missing:
        print(f"nothing measured: {missing}")
        return 1
    costs = by_turns(options.repeats, contenders, bench.log)
    print("| mode | wall s | CPU s | images |\n|---|---:|---:|---:|")
    for name, some in costs.items():
        wall, cpu = (median([getattr(one, kind) for one in some]) for kind in ("wall_s", "cpu_s"))
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {some[-1].said['images']} |")
    more = ratio(costs[_JUDGED], costs[_SINGLE])
    print(
        f"{_JUDGED} takes {more.wall - 1:+.0%} of wall time ({more.low - 1:+.0%} to "
        f"{more.high - 1:+.0%}), {more.cpu - 1:+.0%} of CPU time"
    )
    return 0


def _contenders(bench: Bench, clips: int) -> dict[str, Callable[[], Cost]]:
    folder = bench.fresh("identity_whole")
    media = identity_people.clips()  # PeerMissingError without them
    shared = peers.shared()
    assert shared is not None
    source = prepare.linked(folder / "clips", [shared / "media" / clip for clip in CLIPS[-clips:]])
    pictures = folder / "pictures"
    pictures.mkdir()
    share = identity_people.for_references("man")
    seen = composed.filmed(media[share.clip], share.begin, share.end, _REFERENCES)
    for number, picture in enumerate(seen):
        (pictures / f"{number}.png").write_bytes(image_files.encode_png(picture))
    _lay_out_faces(bench.cache, shared)
    peers.selfie_weights(bench.cache)
    subjects = {
        _SINGLE: {"mode": "single", "voting_clips": 0},
        _JUDGED: {"mode": "references", "references": str(pictures)},
    }
    return {name: partial(_whole, bench, source, name, one) for name, one in subjects.items()}


def _lay_out_faces(cache: Path, shared: Path) -> None:
    for chosen in weight_files.for_faces(_FACES, cache):
        if not chosen.path.exists():
            chosen.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(shared / "weights/face" / chosen.entry["file"], chosen.path)


def _whole(bench: Bench, source: Path, name: str, subject: dict) -> Cost:
    """One run of everything in an empty folder, on all cores."""
    place = bench.fresh(f"identity_whole-{name}")
    detector, _, size = peers.yolo_weights()
    overlay = {
        "raw_videos": str(source),
        "cache": str(bench.cache),
        "subject": subject,
        "extract": {"decoder": "cpu"},
        "detect": {"weights": str(detector), "image_size": size, "device": "cpu"},
        "mask": {"weights": str(peers.isnet_weights()), "device": "cpu"},
        "qc": {"enforce": False},
    }
    (place / "bench.yaml").write_text(yaml.safe_dump(overlay))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--cores", str(prepare.threads()), "--configfile", "bench.yaml"]
    cost = run([*command, "--quiet", "rules", "host"], cwd=place)
    rows = tables.read_stage(place / "dataset" / stages.FINAL_CSV, "final")
    return Cost(
        cost.wall_s, cost.cpu_s, cost.peak_mb, cost.process_s, {"images": len(tables.kept(rows))}
    )


if __name__ == "__main__":
    raise SystemExit(main())
