"""The demo's people: one subject, the others, and what must become of each of them in each clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2

from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

#: What must become of who is seen in a clip: a crop of the dataset, or the reason of a refusal.
KEPT, NOT_SUBJECT, UNSURE_WHO = "KEPT", "NOT_SUBJECT", "UNSURE_WHO"


@dataclass(frozen=True)
class Planted:
    """What must become of one figure of a clip, by its place in the clip's figures, and why it is
    there.
    """

    figure: int
    becomes: str
    trap: str = ""


@dataclass(frozen=True)
class ManyPeople:
    """A clip with what is planted in it."""

    spec: ClipSpec
    planted: tuple[Planted, ...]


def subject_of(seed: int) -> int:
    """The identity of the subject of the demo of a seed; the next ones are the others'."""
    return seed * 10_000 + 519


def many_people(seed: int = 0) -> dict[str, ManyPeople]:
    """The demo's clips of several people, by file name."""
    base, me = seed * 10_000, subject_of(seed)
    friend, stranger = me + 1, me + 2

    def one(number: int, identity: int, **how) -> FigureSpec:
        how = {"motion": "stand", "framing": "full", "sway": 0.02} | how
        return FigureSpec(seed=base + 300 + number, identity=identity, **how)

    def clip(number: int, scene: str, *figures: FigureSpec, n_frames: int = 60) -> ClipSpec:
        return ClipSpec(
            seed=base + 50 + number, width=960, height=540, fps="24", n_frames=n_frames,
            scenes=(scene,), figures=figures, pan_px_s=60.0,
        )  # fmt: skip

    large = {"framing": "half", "scale": 0.9}
    return {
        "friends_cross.mp4": ManyPeople(
            clip(
                1, "outdoor",
                one(1, friend, x=0.85, travel=-0.26, yaw_deg=-22.0, motion="walk", scale=1.05),
                one(2, me, x=0.15, travel=0.26, yaw_deg=22.0, motion="walk", scale=1.08),
                n_frames=72,
            ),
            (Planted(0, NOT_SUBJECT, "crosses behind the subject"), Planted(1, KEPT)),
        ),
        "friends_touch.mp4": ManyPeople(
            clip(
                2, "room",
                one(3, friend, x=0.40, yaw_deg=12.0, scale=1.08),
                one(4, me, x=0.53, yaw_deg=-10.0, scale=1.08),
            ),
            (Planted(0, NOT_SUBJECT, "stands behind and touches the subject"), Planted(1, KEPT)),
        ),
        "mirror_turn.mp4": ManyPeople(
            clip(
                3, "gallery",
                one(5, me, shown="mirror", panel=(0.72, 0.06, 0.93, 0.76), motion="stand",
                    yaw_deg=170.0, outfit=base + 306, scale=0.88),
                one(6, me, x=0.36, yaw_deg=-30.0, turn_deg_s=72.0, motion="stand", scale=1.08,
                    outfit=base + 306),
                n_frames=120,
            ),
            (Planted(0, UNSURE_WHO, "the subject's back in a mirror"), Planted(1, KEPT)),
        ),
        "poster_stranger.mp4": ManyPeople(
            clip(
                4, "street",
                one(7, stranger, shown="poster", framing="half", yaw_deg=5.0,
                    panel=(0.66, 0.08, 0.9, 0.68), scale=0.9),
                one(8, me, x=0.32, yaw_deg=8.0, motion="wave", **large),
            ),
            (Planted(0, NOT_SUBJECT, "somebody else on a poster"), Planted(1, KEPT)),
        ),
        "poster_subject.mp4": ManyPeople(
            clip(
                5, "gallery",
                one(9, me, shown="poster", framing="half", yaw_deg=-5.0,
                    panel=(0.64, 0.08, 0.9, 0.72), scale=0.9),
                one(10, me, x=0.3, yaw_deg=6.0, **large),
                n_frames=36,
            ),
            (
                Planted(0, UNSURE_WHO, "the subject on a poster"),
                Planted(1, UNSURE_WHO, "beside a poster of the subject as large as life"),
            ),
        ),
        "bystander.mp4": ManyPeople(
            clip(
                6, "room",
                one(11, friend, x=0.5, yaw_deg=0.0, motion="wave", outfit=base + 308, **large),
                n_frames=48,
            ),
            (Planted(0, NOT_SUBJECT, "somebody else alone, in clothes of the subject"),),
        ),
    }  # fmt: skip


def write_pictures(folder: Path, seed: int = 0) -> None:
    """Write the pictures that say who the subject is into `references` and `not_subject` below a
    folder: five of the subject and, by mistake, one of a stranger; two of a friend.
    """
    me = subject_of(seed)
    views = ((0, "front"), (-20, "left"), (20, "right"), (-38, "far_left"), (38, "far_right"))
    for number, (yaw_deg, name) in enumerate(views):
        _write(folder / "references" / f"me_{name}.png", me, number, yaw_deg, seed)
    _write(folder / "references" / "party.png", me + 2, 6, 5, seed)
    for number, yaw_deg in enumerate((-12, 15)):
        _write(folder / "not_subject" / f"friend_{number}.png", me + 1, 7 + number, yaw_deg, seed)


def _write(path: Path, identity: int, number: int, yaw_deg: float, seed: int) -> None:
    figure = FigureSpec(
        seed=seed * 10_000 + 400 + number, identity=identity, framing="close", motion="stand",
        yaw_deg=yaw_deg, sway=0.0, scale=0.8,
    )  # fmt: skip
    spec = ClipSpec(
        seed=seed * 10_000 + 400 + number, width=480, height=480, scenes=("gallery", "outdoor"),
        figures=(figure,), n_frames=10,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    rgb = render_frame(spec, 3).frame_rgb
    # Bytes and not cv2.imwrite, which takes no path with letters that the locale lacks.
    path.write_bytes(cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())
