"""Reference pictures: a folder of the subject (subject.references) or of others (subject.not).

Each file has its row, whatever it is. A picture counts only if it shows one face that is large
enough: of two faces nobody can say whose the picture is meant to be.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import user_pictures
from ferrari.images.faces import EmbeddedFace
from ferrari.images.image_files import ImageReadError
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, TOO_LARGE, UNREADABLE_PICTURE
from ferrari.review.applying import cells_of_drop
from ferrari.review.contract import DROP, Decision
from ferrari.subject import templates
from ferrari.subject.face_weights import LEAST, USABLE
from ferrari.subject.templates import ReferencesError, Template, Thresholds

SIDE = 2048  # px; longer side at which a reference is looked at
#: px; the shorter side that the face of a reference has at least. All else is held against it, so
#: it has to be better than a face in a clip (`face_weights`).
REFERENCE_FACE = 64.0

NO_REFERENCE_FACE = "NO_REFERENCE_FACE"
SEVERAL_FACES = "SEVERAL_FACES"
SMALL_FACE = "SMALL_FACE"
UNCLEAR_FACE = "UNCLEAR_FACE"
DUPLICATE_PICTURE = "DUPLICATE_PICTURE"
STRANGER = "STRANGER"
#: Of pictures that were refused together: nobody is named then.
NO_MAJORITY = "NO_MAJORITY"
SHOWS_SUBJECT = "SHOWS_SUBJECT"

#: What each says of pictures.
WORDS = {
    UNREADABLE_PICTURE: "no pictures that can be read",
    TOO_LARGE: "too many pixels",
    NO_REFERENCE_FACE: "no face",
    SEVERAL_FACES: "more than one face",
    SMALL_FACE: f"a face of less than {REFERENCE_FACE:g} px",
    UNCLEAR_FACE: "a face too blurred, dark, turned away or cut off to be told from others",
    DUPLICATE_PICTURE: "there twice",
    STRANGER: "somebody else than most of the others",
    NO_MAJORITY: "of several people, none of whom most of them show",
    SHOWS_SUBJECT: "of the subject, by the references",
    DROPPED_BY_REVIEW: "dropped by a person",
}

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


#: What finds the faces in an HxWx3 uint8 RGB picture, and embeds them: networks, which are given,
#: since none is loaded here. Of a picture that ends their process, it raises ImageReadError.
FaceFinder = Callable[[np.ndarray], Sequence[EmbeddedFace]]


@dataclass(frozen=True)
class Reference:
    """What became of one file of the folder.

    `file` is its path in the folder, `sha256` empty where it could not be read. `value` and
    `threshold` are what was measured: the short side of the face in px, its clarity, megapixels,
    the number of faces, or the similarity to the other references. `embedding` is (D,) and of unit
    length where the picture counts, else None. `decision` is the id of the row by which a person
    dropped it.
    """

    file: str
    sha256: str
    outcome: str
    reason: str = ""
    value: float | None = None
    threshold: float | None = None
    detail: str = ""
    embedding: np.ndarray | None = None
    decision: str = ""


def examine(folder: str | os.PathLike, setting: str, finder: FaceFinder) -> list[Reference]:
    """A row for each file of the folder, sorted by path; files of systems are left out.

    Raises SettingsError where `setting` leads to no folder, or to one that holds no file.
    """
    found = user_pictures.find_some(folder, setting, "set it to null")
    first: dict[str, str] = {}
    rows = []
    for file in sorted(found.values()):
        row = _examined(Path(folder), file, finder)
        if row.outcome == KEPT and row.sha256 in first:
            detail = f"the same file as {first[row.sha256]}"
            row = replace(
                row, outcome=DROPPED, reason=DUPLICATE_PICTURE, detail=detail, embedding=None
            )
        first.setdefault(row.sha256, file)
        rows.append(row)
    return rows


def _examined(folder: Path, file: str, finder: FaceFinder) -> Reference:
    path = folder / file
    try:
        picture = user_pictures.read(path, SIDE)
        digest = sha256_bytes(path.read_bytes())
        return _one_face(file, digest, user_pictures.shrink(picture, SIDE), finder)
    except user_pictures.PictureTooLargeError as error:
        most = user_pictures.MAX_PICTURE_PIXELS / 1e6
        return Reference(file, "", QUARANTINED, TOO_LARGE, error.megapixels, most)
    except (ImageReadError, OSError) as error:
        detail = _why_unreadable(path, error)
        return Reference(file, "", QUARANTINED, UNREADABLE_PICTURE, detail=detail)


def _why_unreadable(path: Path, error: Exception) -> str:
    if _is_heic(path):
        return "HEIC is not read; convert it to JPEG or PNG"
    return str(error).replace(os.fspath(path), "the file")


def _is_heic(path: Path) -> bool:
    """By the brand in the file's first box (ISO/IEC 23008-12), whatever the file's name."""
    if not path.is_file() or not os.access(path, os.R_OK):
        return False
    with open(path, "rb") as stream:
        head = stream.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS


def _one_face(file: str, digest: str, picture: np.ndarray, finder: FaceFinder) -> Reference:
    faces = finder(picture)
    sides = [one.face.short_side for one in faces]
    seen = [i for i, side in enumerate(sides) if side >= LEAST]
    if not faces:
        return Reference(file, digest, DROPPED, NO_REFERENCE_FACE)
    if len(seen) > 1:
        return Reference(file, digest, DROPPED, SEVERAL_FACES, len(seen), 1)
    face = max(range(len(faces)), key=lambda i: (sides[i], faces[i].face.score))
    side = round(sides[face], 1)
    # How surely it is a face does not count here: somebody chose the picture.
    if side < REFERENCE_FACE:
        return Reference(file, digest, DROPPED, SMALL_FACE, side, REFERENCE_FACE)
    clarity = round(faces[face].clarity, 2)
    if clarity < USABLE:
        return Reference(file, digest, DROPPED, UNCLEAR_FACE, clarity, USABLE)
    return Reference(file, digest, KEPT, value=side, embedding=faces[face].embedding)


def reviewed(rows: Sequence[Reference], decided: Sequence[Decision]) -> list[Reference]:
    """The rows with those pictures dropped that a person dropped; they are known by their digests.

    What is refused already stays refused for that.
    """
    drops = {row.picture: row for row in decided if row.decision == DROP}
    found = []
    for row in rows:
        drop = drops.get(row.sha256) if row.outcome == KEPT else None
        found.append(_dropped(row, drop) if drop else row)
    return found


def _dropped(row: Reference, drop: Decision) -> Reference:
    cells = cells_of_drop(drop, row.detail)
    return replace(
        row,
        outcome=cells["outcome"],
        reason=cells["reason"],
        detail=cells["detail"],
        decision=cells["decision"],
        embedding=None,
    )


def settle(
    references: Sequence[Reference], negatives: Sequence[Reference], thresholds: Thresholds
) -> tuple[list[Reference], Template]:
    """The rows of subject.references after they were held against each other, and the template.

    Raises ReferencesError where no picture counts, where they do not say who the subject is, or
    where one of `negatives` (rows of subject.not) is the subject.
    """
    places = [i for i, row in enumerate(references) if row.embedding is not None]
    if not places:
        raise ReferencesError(
            f"subject.references: {tally(references)}; none can be used. Put pictures there that "
            f"show the subject alone, with a face of {REFERENCE_FACE:g} px and more (a photo "
            "rather than a frame of a clip); without any, the subject is whom most clips show"
        )
    others = [row for row in negatives if row.embedding is not None]
    template, check = templates.build(
        _embeddings([references[i] for i in places]),
        [references[i].file for i in places],
        _embeddings(others) if others else np.zeros((0, _length(references[places[0]]))),
        [row.file for row in others],
        thresholds,
    )
    rows = list(references)
    for place, kind, score in zip(places, check.kinds, check.scores, strict=True):
        rows[place] = _checked(rows[place], kind, float(score), thresholds)
    return rows, template


def refused(
    references: Sequence[Reference], negatives: Sequence[Reference], thresholds: Thresholds
) -> tuple[list[Reference], list[Reference]]:
    """The rows of both folders where `settle` refuses them: which pictures look like which, and
    which of `negatives` are the subject.
    """
    places = [i for i, row in enumerate(references) if row.embedding is not None]
    own, others = list(references), list(negatives)
    if not places:
        return own, others
    check = templates.self_check(_embeddings([references[i] for i in places]), thresholds)
    for place, kind, score in zip(places, check.kinds, check.scores, strict=True):
        own[place] = _checked(own[place], kind, float(score), thresholds)
    if check.settled:
        members = _embeddings([references[places[i]] for i in check.usable()])
        return own, [_held_against(row, members, thresholds) for row in others]
    for number, group in enumerate(check.groups, 1):
        for place in (places[i] for i in group):
            detail = f"person {number} of {len(check.groups)}, in {len(group)} of the pictures"
            own[place] = replace(
                own[place], outcome=QUARANTINED, reason=NO_MAJORITY, detail=detail, embedding=None
            )
    return own, others


def _held_against(row: Reference, members: np.ndarray, thresholds: Thresholds) -> Reference:
    """A row of subject.not, refused where the references take it for the subject."""
    if row.embedding is None:
        return row
    score = float(Template(members, members[:0]).scores(row.embedding[None])[0])
    if score < thresholds.above:
        return row
    measured = replace(row, value=score, threshold=thresholds.above, embedding=None)
    return replace(measured, outcome=QUARANTINED, reason=SHOWS_SUBJECT)


def _embeddings(rows: Iterable[Reference]) -> np.ndarray:
    return np.stack([row.embedding for row in rows if row.embedding is not None])


def _length(row: Reference) -> int:
    return 0 if row.embedding is None else len(row.embedding)


def _checked(row: Reference, kind: str, score: float, thresholds: Thresholds) -> Reference:
    """A row with what the other references say of it."""
    if kind == templates.UNCHECKED:
        return replace(row, detail="the only picture, so nothing confirms it")
    if kind == templates.DUPLICATE:
        detail = "the same picture as an earlier one"
        return replace(
            row, outcome=DROPPED, reason=DUPLICATE_PICTURE, detail=detail, embedding=None
        )
    measured = replace(row, value=score, threshold=thresholds.above)
    if kind == templates.STRANGER:
        return replace(
            measured,
            outcome=QUARANTINED,
            reason=STRANGER,
            threshold=thresholds.below,
            detail="unlike most of the others",
            embedding=None,
        )
    if kind == templates.UNSURE:
        return replace(measured, detail="less like the others than a clear match; look at it")
    return measured


def tally(rows: Iterable[Reference]) -> str:
    """How many of the pictures count, and why the others do not, in one sentence."""
    rows = list(rows)
    counts = Counter(row.reason for row in rows if row.outcome != KEPT)
    kept = len(rows) - counts.total()
    refused = ", ".join(f"{WORDS[code]} ({counts[code]})" for code in WORDS if counts[code])
    used = f"{kept} of {len(rows)} pictures can be used"
    return f"{used}; refused: {refused}" if refused else used


def digest(references: Iterable[Reference], negatives: Iterable[Reference]) -> str:
    """SHA-256 of the pictures that say who the subject is; their names and order do not matter."""
    kept = (
        sorted(row.sha256 for row in rows if row.outcome == KEPT)
        for rows in (references, negatives)
    )
    return sha256_bytes("\n\n".join("\n".join(each) for each in kept).encode())
