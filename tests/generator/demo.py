"""The demo's raw clips: good ones of one person, some with others, one of each thing that goes
wrong, and their truth.
"""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from tests.generator import cast, faults
from tests.generator.faults import FileTruth
from tests.generator.spec import ClipSpec, FigureSpec


def demo_specs(seed: int = 0) -> dict[str, ClipSpec]:
    """The demo's clips of its subject alone, in other clothes in each, by file name.

    Planted repeats last long enough to be met at 2 to 4 fps.
    """
    base, me = seed * 10_000, cast.subject_of(seed)

    def clip(
        number: int,
        framing: str,
        motion: str,
        blend: float = 0.0,
        x: float = 0.5,
        turn: tuple[float | None, float] = (None, 0.0),
        **rest,
    ) -> ClipSpec:
        figure = FigureSpec(
            seed=base + 100 + number,
            framing=framing,
            motion=motion,
            blend=blend,
            x=x,
            identity=me,
            yaw_deg=turn[0],
            turn_deg_s=turn[1],
        )
        return ClipSpec(seed=base + number, figures=(figure,), **rest)

    return {
        "walk_room.mp4": clip(
            1, "full", "walk", fps="24", n_frames=96, scenes=("room",), frozen_runs=((36, 30),)
        ),
        "wave_garden.mp4": clip(
            2, "half", "wave", fps="25", n_frames=100, scenes=("outdoor", "gallery"), cuts=(52,)
        ),
        "talk_street.mp4": clip(
            3, "close", "stand", fps="30", n_frames=105, scenes=("street",), frozen_runs=((30, 36),)
        ),
        "turn_gallery.mp4": clip(
            4, "full", "turn", fps="25", n_frames=110, scenes=("gallery", "bokeh", "room"),
            cuts=(40, 76), width=960, height=540, turn=(-22.0, 118.0),  # a face in each shot
        ),
        "dance_lights.mp4": clip(
            5, "full", "dance", fps="30", n_frames=120, scenes=("bokeh", "street"), cuts=(66,),
            frozen_runs=((15, 31), (84, 33)), width=1280, height=720, pan_px_s=240.0,
            turn=(6.0, 0.0),
        ),
        "portrait_hall.mp4": clip(
            6, "half", "turn", 0.5, fps="24", n_frames=84, scenes=("room",), width=540, height=960,
            turn=(-60.0, 40.0),
        ),
        faults.ODD_NAME: clip(
            7, "close", "wave", fps="25", n_frames=80, scenes=("noise", "outdoor"), cuts=(38,),
        ),
    }  # fmt: skip


def no_subject_spec(seed: int = 0) -> ClipSpec:
    """A clip of places and things in which nobody appears."""
    scenes = ("room", "gallery", "outdoor", "street")
    return ClipSpec(
        seed=seed * 10_000 + 40, n_frames=100, scenes=scenes, cuts=(25, 50, 75), figures=()
    )


def write_demo(out_dir: Path, seed: int = 0, workers: int = 2) -> list[FileTruth]:
    """Write the demo's files into `out_dir` (which is made) and return what each of them is.

    The bytes do not depend on `workers`, the number of processes that draw.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    specs, people = demo_specs(seed), cast.many_people(seed)
    specs["empty_places.mp4"] = no_subject_spec(seed)
    specs |= {name: clip.spec for name, clip in people.items()}
    with ProcessPoolExecutor(workers) as pool:
        truths = list(pool.map(faults.good, [out_dir / name for name in specs], specs.values()))
    truths = [_with_people(truth, people.get(truth.path.name)) for truth in truths]
    walk = specs["walk_room.mp4"]
    short = replace(walk, n_frames=40, frozen_runs=(), cuts=())
    truths += [
        faults.low_resolution(out_dir / "thumbnail.mp4", replace(short, width=320, height=240)),
        faults.truncated(out_dir / "broken_download.mp4", replace(short, seed=walk.seed + 50)),
        faults.zero_duration(out_dir / "no_frames.mp4", short),
        faults.audio_only(out_dir / "voice_memo.mp4"),
        faults.exact_duplicate(out_dir / "walk_room_copy.mp4", truths[0]),
    ]
    return truths


def _with_people(truth: FileTruth, clip: cast.ManyPeople | None) -> FileTruth:
    """The truth of a clip with what is planted in it, if it is one of several people."""
    if clip is None:
        return truth
    return replace(truth, facts={"people": [asdict(one) for one in clip.planted]})


def write_truth(truths: list[FileTruth], path: Path, seed: int) -> None:
    """Save the truth of the demo's files as JSON (see `FileTruth.to_json`)."""
    data = {"seed": seed, "files": [truth.to_json() for truth in truths]}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
