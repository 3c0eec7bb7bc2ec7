"""How the subject is determined (`subject.mode`), and which thresholds judge faces."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ferrari.common.settings import SettingsError
from ferrari.images import user_pictures
from ferrari.subject.templates import Thresholds

#: Pictures say who it is; whom most clips show; one person in all clips, and nobody is judged.
REFERENCES, CLUSTER, SINGLE = "references", "cluster", "single"
#: The folder of references if none is named.
FOLDER = "references"
#: What `detect.class` has to be for anybody to be recognised.
PERSON = "person"


@dataclass(frozen=True)
class Chosen:
    """What the settings of the section `subject` come to.

    `references` and `others` are the folders of pictures that count, each with its files by path,
    or None. `said` is a sentence for the log, or empty.
    """

    mode: str
    references: Folder | None = None
    others: Folder | None = None
    said: str = ""


@dataclass(frozen=True)
class Folder:
    """A folder of pictures that a setting names, and the paths of its files below it, sorted."""

    setting: str
    path: str
    files: tuple[str, ...]


def choose(subject: Mapping, class_name: str, work: str | os.PathLike = "") -> Chosen:
    """The mode, and the folders that are read under it.

    `class_name` is `detect.class`: of anything but people nobody can be recognised. Folders are
    named as seen from the set's folder `work` ("": this process works in it). Raises SettingsError
    for a folder that is missing or empty, and for a vote without voters.
    """
    wanted, folder = subject["mode"], os.path.join(work, subject["references"] or FOLDER)
    if class_name != PERSON:
        said = (
            f"subject.mode: single, since detect.class is {class_name}: faces tell people apart, "
            "and nothing else"
        )
        return Chosen(SINGLE, said=said)
    if wanted == SINGLE:
        return Chosen(SINGLE)
    named = wanted == REFERENCES or subject["references"] is not None
    if wanted != CLUSTER and (named or os.path.isdir(folder)):
        own = _folder("subject.references", folder, _without_references(subject))
        return Chosen(REFERENCES, own, _others(subject, work))
    if not subject["voting_clips"]:
        raise SettingsError(
            "subject.voting_clips is 0, so no clip can say who the subject is: raise it, put "
            f"pictures of the subject into the folder {folder}, or set subject.mode: single"
        )
    return Chosen(CLUSTER, None, _others(subject, work))


def _others(subject: Mapping, work: str | os.PathLike) -> Folder | None:
    given = subject["not"]
    return _folder("subject.not", os.path.join(work, given), "set it to null") if given else None


def _without_references(subject: Mapping) -> str:
    """What to do where there are no references: the folder that a set has is read unasked."""
    if subject["mode"] == REFERENCES:
        return "set subject.mode: cluster, and the subject is whom most clips show"
    if subject["references"] is None:
        return "delete the folder, and the subject is whom most clips show"
    return "set it to null"


def _folder(setting: str, path: str, otherwise: str) -> Folder:
    files = tuple(sorted(user_pictures.find_some(path, setting, otherwise).values()))
    return Folder(setting, path, files)


def thresholds(subject: Mapping, embedding: Mapping) -> Thresholds:
    """From which similarity a face is the subject's, and below which somebody else's.

    `embedding` is the network's entry in models.yaml, which has both. Raises SettingsError where
    `below` comes to more than `above`.
    """
    above, below = (
        float(embedding[key] if subject[key] is None else subject[key])
        for key in ("above", "below")
    )
    if below > above:
        raise SettingsError(
            f"subject.below is {below:g} and subject.above {above:g}: a face cannot be the "
            "subject's and somebody else's; set both, below no higher than above"
        )
    return Thresholds(above, below)


#: Settings of the section that judge a detection whose face says nothing.
_OF_BODIES = ("body_similarity", "body_gap_s", "sureness_decay")


def judging(chosen: Chosen, subject: Mapping, limits: Thresholds) -> dict | None:
    """All that decides which detections are the subject's, beside what is seen and who it is; None
    where nobody is judged. Nothing is searched anew when it changes.
    """
    if chosen.mode == SINGLE:
        return None
    faces = {"mode": chosen.mode, "above": limits.above, "below": limits.below}
    return faces | {key: subject[key] for key in _OF_BODIES}
