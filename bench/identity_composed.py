"""Clips put together of real people, so that who is where is known to the pixel.

Each person is cut out of the part of their footage that is for tests, by the pipeline's own
network, and put before a drawn scene, several in one frame. Six pictures a second: what the
pipeline looks at is all there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import av
import cv2
import numpy as np

from bench import identity_heads
from tests.generator.encode import Encoding, encode
from tests.generator.scenes import paint_scene

WIDTH, HEIGHT, FPS = 640, 360, 6
SECONDS = 4
#: What a truth is of: the person, their likeness in a mirror, their picture on a wall.
SELF, MIRROR, POSTER = "self", "mirror", "poster"
CUT_FROM = 540  # px, height of the pictures that people are cut out of, if nothing else is said
_SCALE = 0.75  # of the sizes of faces below
_COARSE = 4
_HEADROOM = 0.1  # heights of the frame above a face, at least
_AT_EDGE = 0.98  # of a picture's height: who is seen further down goes on below it
_BODY = 1.6  # heights of the face that a cut-out is made longer by
_TORSO_LAB = {1: (90, 128, 170), 2: (110, 170, 140)}  # L*, a*, b* as OpenCV has them in 8 bits

Way = Callable[[float], float]
#: Cut-outs, and the face's box in each.
Views = tuple[Sequence[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Actor:
    """Cut-outs of one person, in the order filmed: HxWx4 uint8, and the face's box in each.
    `painted`: below what was filmed a body is painted on.

    Seen from behind they are `behind`, cut out of film of their back, with the box in which the
    face would be (`heads_xyxy`); who was not filmed so has `head`, a head from behind that may be
    theirs, HxWx4 uint8, put before the face.
    """

    pictures: Sequence[np.ndarray]
    faces_xyxy: np.ndarray
    head: np.ndarray | None = None
    behind: Sequence[np.ndarray] = ()
    heads_xyxy: np.ndarray | None = None
    painted: bool = True

    def drawn(self, back: bool) -> Views:
        """What is drawn of them, from the front or from behind."""
        if back and not self.behind:
            return self._turned, self.faces_xyxy
        return self.outlines(back)

    def outlines(self, back: bool) -> Views:
        """The same where only the outline counts, which a head that is put on hardly changes."""
        if back and self.heads_xyxy is not None:
            return self.behind, self.heads_xyxy
        return self.pictures, self.faces_xyxy

    @cached_property
    def _turned(self) -> Sequence[np.ndarray]:
        pairs = zip(self.pictures, self.faces_xyxy, strict=True)
        return [_turned(rgba, face, self.head) for rgba, face in pairs]


@dataclass(frozen=True)
class Role:
    """Somebody in a scene. `x`: middle of the face, in widths of the frame, over the clip (0 to 1);
    `y` the same in heights, None: the cut-out's lower edge is the frame's. `turned`: no face is
    seen, as from behind. `outfit`: the clothes are dyed, alike for all who have its number.
    """

    who: str
    x: Way
    face_px: float
    kind: str = SELF
    y: float | None = None
    turned: bool = False
    outfit: int = 0
    back_from: float = 2.0
    present: Callable[[float], bool] = lambda at: True


@dataclass(frozen=True)
class Scene:
    """Roles from back to front, before a drawn scene."""

    name: str
    roles: Sequence[Role]
    seed: int
    seconds: float = SECONDS


@dataclass(frozen=True)
class Shown:
    """Who a frame shows: the box of what is visible as shares of the frame, how much of them that
    is, where (`seen`, bool, a quarter of the frame's height and width), and the face's box.

    `filmed_px`: the short side of the box around what is visible of the film of them. The body
    below is painted on, and no detector need take a flat rectangle for a body.
    """

    who: str
    kind: str
    back: bool
    box: np.ndarray
    visible: float
    seen: np.ndarray
    face: np.ndarray
    filmed_px: float = float("inf")


@dataclass(frozen=True)
class Composed:
    """A clip: its file, its scene, and who is in each frame."""

    scene: Scene
    path: Path
    truth: Sequence[Sequence[Shown]] = field(default_factory=tuple)


def film(scene: Scene, actors: dict[str, Actor], folder: Path) -> Composed:
    """Draw and encode a scene; a file that is there already stays."""
    path = folder / f"{scene.name}.mp4"
    if not path.exists():
        options = {"crf": "18", "preset": "veryfast"}
        encode(path, _frames(scene, actors), Encoding(fps=str(FPS), gop=12, options=options))
    truth = [_truth(scene, actors, number, at) for number, at in _times(scene)]
    return Composed(scene, path, truth)


def _times(scene: Scene) -> Iterator[tuple[int, float]]:
    """Each frame's number, and where it is in the clip, 0 to 1."""
    count = round(scene.seconds * FPS)
    return ((number, number / max(count - 1, 1)) for number in range(count))


def _frames(scene: Scene, actors: dict[str, Actor]) -> Iterator[np.ndarray]:
    behind, noise = _behind(scene), np.random.default_rng([scene.seed, 5])
    for number, at in _times(scene):
        canvas, _ = _layers(scene, actors, number, at, behind)
        yield _filmed(canvas, noise)


def picture(
    scene: Scene, actors: Mapping[str, Actor], number: int
) -> tuple[np.ndarray, list[tuple[Role, np.ndarray]]]:
    """One frame of a scene as it is before encoding, HxWx3 uint8 RGB; and of each role in it, from
    back to front, its part of the pixels (HxW float, 0..1): what stands before it is taken off.
    """
    at = dict(_times(scene))[number]
    canvas, alphas = _layers(scene, actors, number, at, _behind(scene))
    shown, free = [], np.ones((HEIGHT, WIDTH), np.float32)
    for role, alpha in reversed(alphas):
        shown.append((role, alpha * free))
        free = free * (1 - alpha)
    return _filmed(canvas, np.random.default_rng([scene.seed, 5, number])), shown[::-1]


def _behind(scene: Scene) -> np.ndarray:
    kind = ("room", "street", "gallery", "outdoor")[scene.seed % 4]
    return paint_scene(kind, scene.seed, WIDTH, HEIGHT)[:HEIGHT, :WIDTH]


def _layers(
    scene: Scene, actors: Mapping[str, Actor], number: int, at: float, behind: np.ndarray
) -> tuple[np.ndarray, list[tuple[Role, np.ndarray]]]:
    """A frame, HxWx3 float, and the whole alpha of each role that is there, from back to front."""
    canvas, alphas = behind.astype(np.float32), []
    for role in scene.roles:
        if role.present(at):
            rgb, alpha = _drawn(role, actors[role.who], number, at)
            canvas = canvas * (1 - alpha[..., None]) + rgb * alpha[..., None]
            alphas.append((role, alpha))
    return canvas, alphas


def _filmed(canvas: np.ndarray, noise: np.random.Generator) -> np.ndarray:
    grainy = canvas + noise.normal(0, 1.5, (HEIGHT, WIDTH, 1))
    return np.clip(np.rint(grainy), 0, 255).astype(np.uint8)


def _truth(scene: Scene, actors: dict[str, Actor], number: int, at: float) -> list[Shown]:
    """Who is seen in a frame, from back to front; everything of it a quarter as large."""
    covered = np.zeros((HEIGHT // _COARSE, WIDTH // _COARSE), bool)
    shown = []
    for role in reversed(scene.roles):
        if not role.present(at):
            continue
        actor = actors[role.who]
        back = role.turned or at >= role.back_from
        rgba, face, place = _placed(role, actor.outlines(back), number, at)
        alpha = np.float32(rgba[..., 3])
        whole = _coarse(alpha, place)
        seen, covered = whole & ~covered, covered | whole
        if seen.any():
            share = float(seen.sum() / whole.sum())
            corners = face.reshape(2, 2) * place[0, 0] + place[:, 2]
            faced = (corners / [WIDTH, HEIGHT]).ravel()
            filmed = _filmed_part(alpha, face) if actor.painted else alpha
            filmed_px = _short_side(seen & _coarse(filmed, place))
            shown.append(
                Shown(role.who, role.kind, back, _box_of(seen), share, seen, faced, filmed_px)
            )
    return shown[::-1]


def _coarse(alpha: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Where a cut-out is in the frame, a quarter of its height and width: bool."""
    size = (WIDTH // _COARSE, HEIGHT // _COARSE)
    return cv2.warpAffine(alpha, place / _COARSE, size, flags=cv2.INTER_AREA) > 127


def _filmed_part(alpha: np.ndarray, face: np.ndarray) -> np.ndarray:
    """The alpha without the body that was painted below (`_with_body`)."""
    part = alpha.copy()
    part[len(part) - round(_BODY * (face[3] - face[1])) :] = 0
    return part


def _short_side(seen: np.ndarray) -> float:
    """px of the frame; 0 where nothing is seen."""
    if not seen.any():
        return 0.0
    x1, y1, x2, y2 = _box_of(seen) * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return float(min(x2 - x1, y2 - y1))


def _box_of(seen: np.ndarray) -> np.ndarray:
    rows, columns = np.where(seen)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
    high, wide = seen.shape
    return box / [wide, high, wide, high]


def _drawn(role: Role, actor: Actor, number: int, at: float) -> tuple[np.ndarray, np.ndarray]:
    """A role's colours HxWx3 float32 and alpha HxW 0..1, in the frame."""
    back = role.turned or at >= role.back_from
    rgba, face, place = _placed(role, actor.drawn(back), number, at)
    if role.outfit:
        rgba = _dyed(rgba, face, role.outfit)
    scale = float(place[0, 0])
    small = cv2.GaussianBlur(rgba, (0, 0), max(0.01, 0.4 / scale)) if scale < 0.8 else rgba
    laid = cv2.warpAffine(np.float32(small), place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
    return laid[..., :3], laid[..., 3] / 255


def _placed(
    role: Role, views: Views, number: int, at: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a role's cut-outs the one for a frame (HxWx4 uint8), the face's box in it, and where it is
    laid in the frame.
    """
    pictures, faces_xyxy = views
    still = 0 if role.kind == POSTER else number
    index = _back_and_forth(still, len(pictures))
    rgba, face = pictures[index], faces_xyxy[index]
    if role.kind == POSTER:
        rgba = _framed(rgba)
    width = rgba.shape[1]
    if role.kind == MIRROR:
        rgba, face = rgba[:, ::-1], np.array([width - face[2], face[1], width - face[0], face[3]])
    scale = _SCALE * role.face_px / min(face[2] - face[0], face[3] - face[1])
    x = role.x(at) * WIDTH - (face[0] + face[2]) / 2 * scale
    if role.y is None:
        # Somebody tall is cut off below by the frame, never above.
        y = max(HEIGHT - rgba.shape[0] * scale + 2, _HEADROOM * HEIGHT - face[1] * scale)
    else:
        y = role.y * HEIGHT - (face[1] + face[3]) / 2 * scale
    return rgba, face, np.array([[scale, 0, x], [0, scale, y]], np.float32)


def _back_and_forth(number: int, count: int) -> int:
    """Pictures of a short clip one after the other, then backwards, so that nothing jumps."""
    if count == 1:
        return 0
    at = number % (2 * count - 2)
    return at if at < count else 2 * count - 2 - at


def _turned(rgba: np.ndarray, face: np.ndarray, head: np.ndarray | None) -> np.ndarray:
    """The face covered with the colours of the hair above it, and a head from behind before it."""
    x1, y1, x2, y2 = face
    wide, high = x2 - x1, y2 - y1
    top = rgba[max(0, int(y1 - 0.35 * high)) : max(1, int(y1 - 0.05 * high)), int(x1) : int(x2)]
    solid = top[top[..., 3] > 200][:, :3]
    hair = np.median(solid, axis=0) if len(solid) else np.array([60, 50, 45])
    hair = hair if head is None else identity_heads.colour_of(head)
    mask = np.zeros(rgba.shape[:2], np.float32)
    middle = round((x1 + x2) / 2), round((y1 + y2) / 2)
    cv2.ellipse(mask, middle, (round(0.68 * wide), round(0.68 * high)), 0, 0, 360, 1, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), max(1.0, 0.05 * wide))[..., None]
    grain = np.random.default_rng(3).normal(0, 8, (*rgba.shape[:2], 1))
    made = rgba.astype(np.float32)
    made[..., :3] = made[..., :3] * (1 - mask) + np.clip(hair + grain, 0, 255) * mask
    covered = made.astype(np.uint8)
    return covered if head is None else identity_heads.put_on(covered, face, head)


def _dyed(rgba: np.ndarray, face: np.ndarray, outfit: int) -> np.ndarray:
    """All below the chin in the colour of an outfit, folds and all."""
    rgba = np.ascontiguousarray(rgba)
    chin = int(face[3] + 0.12 * (face[3] - face[1]))
    lab = cv2.cvtColor(np.ascontiguousarray(rgba[..., :3]), cv2.COLOR_RGB2LAB).astype(np.float32)
    light, a, b = _TORSO_LAB[outfit]
    torso = lab[chin:]
    if not torso.size:
        return rgba
    torso[..., 0] = light + 0.3 * (torso[..., 0] - torso[..., 0].mean())
    torso[..., 1], torso[..., 2] = a, b
    rgb = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    return np.dstack([rgb, rgba[..., 3]])


def _framed(rgba: np.ndarray) -> np.ndarray:
    """A poster: the person before one colour, with a white edge."""
    alpha = rgba[..., 3:].astype(np.float32) / 255
    flat = rgba[..., :3] * alpha + np.array([150, 170, 190]) * (1 - alpha)
    made = np.dstack([flat, np.full(rgba.shape[:2], 255)]).astype(np.uint8)
    edge = max(2, made.shape[1] // 30)
    made[:edge, :, :3] = made[-edge:, :, :3] = made[:, :edge, :3] = made[:, -edge:, :3] = 245
    return made


# --- the scenes -----------------------------------------------------------------------------------


def still(x: float) -> Way:
    """Stands there."""
    return lambda at: x


def walk(begin: float, end: float) -> Way:
    """Goes evenly from one place to another."""
    return lambda at: begin + (end - begin) * at


def scenes(one: str, two: str, three: str, seed: int) -> list[Scene]:
    """Scenes of `one` with two others."""
    tag = f"{one}-{two}"
    made = [
        ("beside", [Role(one, still(0.28), 90), Role(two, still(0.72), 90)]),
        ("cross", [Role(two, walk(0.85, 0.15), 70), Role(one, walk(0.12, 0.88), 80)]),
        ("hug", [Role(two, walk(0.60, 0.57), 95), Role(one, walk(0.40, 0.43), 95)]),
        ("hidden", [Role(one, walk(0.1, 0.9), 60), Role(two, still(0.5), 120)]),
        ("small", [Role(two, walk(0.7, 0.6), 44), Role(one, walk(0.3, 0.4), 44)]),
        (
            "crowd",
            [
                Role(three, walk(0.12, 0.3), 50, y=0.45),
                Role(one, walk(0.5, 0.52), 64),
                Role(two, walk(0.9, 0.75), 56),
            ],
        ),
        ("poster", [Role(two, still(0.78), 70, POSTER, y=0.32), Role(one, walk(0.2, 0.45), 95)]),
        ("ownposter", [Role(one, still(0.78), 70, POSTER, y=0.32), Role(two, walk(0.2, 0.45), 95)]),
        (
            "mirror",
            [Role(one, walk(0.8, 0.7), 60, MIRROR, y=0.5), Role(one, walk(0.25, 0.35), 100)],
        ),
        (
            "twins",
            [Role(two, walk(0.75, 0.55), 80, outfit=1), Role(one, walk(0.2, 0.4), 80, outfit=1)],
        ),
        (
            "turns",
            [Role(two, still(0.75), 85, back_from=0.3), Role(one, still(0.3), 85, back_from=0.4)],
        ),
        (
            "twinbacks",
            [
                Role(two, still(0.75), 85, outfit=2, back_from=0.4),
                Role(one, still(0.3), 85, outfit=2, back_from=0.4),
            ],
        ),
        (
            "away",
            [
                Role(two, still(0.7), 90),
                Role(one, still(0.3), 90, present=lambda at: at < 0.35 or at > 0.65, back_from=0.6),
            ],
        ),
        (
            "solo",
            [
                Role(one, still(0.35), 80, present=lambda at: at < 0.45),
                Role(one, walk(0.75, 0.6), 115, turned=True, present=lambda at: at > 0.6),
            ],
        ),
        (
            "passer",
            [
                Role(one, still(0.3), 85, present=lambda at: at < 0.45),
                Role(two, walk(0.9, 0.5), 90, turned=True, present=lambda at: at > 0.6),
            ],
        ),
    ]  # fmt: skip
    return [Scene(f"{name}-{tag}", roles, seed + n) for n, (name, roles) in enumerate(made)]


# --- cutting people out ---------------------------------------------------------------------------


def filmed(
    path: Path, begin: float, end: float, most: int, high: int = CUT_FROM
) -> list[np.ndarray]:
    """Frames of a part of a clip, FPS a second, at most `most`: HxWx3 uint8 RGB, `high` at most."""
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 30)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    first, last = round(begin * len(frames)), round(end * len(frames))
    some = frames[first : last : max(1, round(rate / FPS))][:most]
    return [_of_height(one, high) for one in some]


def _of_height(picture: np.ndarray, height: int) -> np.ndarray:
    if picture.shape[0] <= height:
        return picture
    width = round(picture.shape[1] * height / picture.shape[0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _with_body(rgba: np.ndarray, face: Sequence[float]) -> np.ndarray:
    """Heads and shoulders end where the picture did: their lowest row is continued as clothes."""
    high = round(_BODY * (face[3] - face[1]))
    last = rgba[-3]
    lit = np.linspace(1.0, 0.7, high)[:, None, None]
    body = np.repeat(last[None], high, axis=0).astype(np.float32)
    body[..., :3] *= lit
    body[..., 3] = np.where(last[:, 3] > 127, 255, 0)
    grain = np.random.default_rng(11).normal(0, 4, (high, rgba.shape[1], 1))
    body[..., :3] = np.clip(body[..., :3] + grain, 0, 255)
    return np.concatenate([rgba[:-2], body.astype(np.uint8)])


def actor(pictures: Sequence[np.ndarray], alphas: Sequence[np.ndarray], faces: Sequence) -> Actor:
    """Of pictures, alphas (HxW, 0..1) and the box of the face in each, None where none is seen.

    Who is filmed down to the picture's lower edge gets a painted body below it.
    """
    cut, boxes, at_edge = [], [], []
    for rgb, alpha, face in zip(pictures, alphas, faces, strict=True):
        place = _outline(alpha)
        if face is not None and place is not None:
            x1, y1, _, y2 = place
            cut.append(_cut(rgb, alpha, place))
            boxes.append(np.array(face) - [x1, y1, x1, y1])
            at_edge.append(y2 >= _AT_EDGE * len(alpha))
    painted = bool(np.mean(at_edge) > 0.5) if at_edge else True
    if painted:
        cut = [_with_body(rgba, face) for rgba, face in zip(cut, boxes, strict=True)]
    return Actor(cut, np.array(boxes), painted=painted)


def with_backs(front: Actor, pictures: Sequence[np.ndarray], alphas: Sequence[np.ndarray]) -> Actor:
    """The same with film of their back, from as far away: pictures and alphas (HxW, 0..1).

    The face would be where it is from the front: below the crown, over the middle of the head. Who
    is filmed from head to foot may be nearer or farther; their height says by how much.
    """
    high = np.array([len(rgba) for rgba in front.pictures])
    face = np.median(front.faces_xyxy, axis=0)
    size, below = face[2:] - face[:2], float(face[1])
    cut, boxes = [], []
    for rgb, alpha in zip(pictures, alphas, strict=True):
        place = _outline(alpha)
        if place is None:
            continue
        rgba = _cut(rgb, alpha, place)
        scale = 1.0 if front.painted else len(rgba) / float(np.median(high))
        wide, tall, top = *(scale * size), scale * below
        columns = np.where(rgba[: max(1, round(top + tall)), :, 3] > 127)[1]
        middle = float(np.median(columns)) if len(columns) else rgba.shape[1] / 2
        box = np.array([middle - wide / 2, top, middle + wide / 2, top + tall])
        cut.append(_with_body(rgba, box) if front.painted else rgba)
        boxes.append(box)
    return replace(front, behind=cut, heads_xyxy=np.array(boxes).reshape(-1, 4) if cut else None)


def _outline(alpha: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box around an alpha (HxW, 0..1), end exclusive; None where it is empty."""
    rows, columns = np.where(alpha > 0.5)
    if not len(rows):
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _cut(rgb: np.ndarray, alpha: np.ndarray, place: tuple[int, int, int, int]) -> np.ndarray:
    x1, y1, x2, y2 = place
    return np.dstack([rgb, np.rint(alpha * 255).astype(np.uint8)])[y1:y2, x1:x2]
