"""The generator's people as clips of known truth: the demo's scenes with other people in them.

They are seen by the demo's own networks, which know these drawings alone, and judged by the
thresholds that these have in models.yaml. The demo's own people (seed 0) are none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from bench import prepare
from bench.identity_cases import NOBODY, Case, tried
from bench.identity_composed import SELF
from bench.identity_look import EMBEDDINGS, Eyes, Looked, looked_at
from bench.identity_tables import COUNTS, Table, delivered
from bench.measure import ROOT
from ferrari.images.boxes import overlap
from ferrari.images.faces import EmbeddedFace
from ferrari.networks import detectors, faces, weight_files
from ferrari.subject import references
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template, Thresholds
from tests.generator import ClipSpec, PersonTruth, render_frame
from tests.generator.cast import many_people, subject_of, write_pictures
from tests.generator.encode import write_clip

FACES = {"detector": "demo-faces", "embedding": "demo-faces", "device": "cpu", "batch": 1}
_PERSON = ROOT / "models/demo/person-seg_openvino_model"
_VISIBLE, _LARGE_PX, _SAME_BOX = 0.25, 96, 0.3


class DemoEyes(Eyes):
    """The demo's networks; of its one embedding both names are made."""

    dimensions = dict.fromkeys(EMBEDDINGS, 64)

    @cached_property
    def key(self) -> str:
        """What a clip's cache depends on beside the clip."""
        digests = [one.sha256 for one in weight_files.for_faces(FACES)]
        settings = [prepare.section("extract"), prepare.section("detect")]
        return json.dumps(["drawn", settings, digests], sort_keys=True)

    @cached_property
    def detector(self) -> detectors.Detector:
        """The demo's."""
        settings = prepare.detect_settings(_PERSON, 320)
        return detectors.load(settings, [str(_PERSON)], {}, self._threads, str(self._work))

    @cached_property
    def models(self) -> dict[str, faces.FaceModel]:
        """The same one for each name."""
        files = [str(one.path) for one in weight_files.for_faces(FACES)]
        model = faces.load(FACES, files, self._threads, str(self._work))
        return dict.fromkeys(EMBEDDINGS, model)


def table(work: Path, seeds: Sequence[int], log=print) -> Table:
    """A row a scene, over the seeds; each seed's subject by the pictures that are drawn of it."""
    work.mkdir(parents=True, exist_ok=True)
    eyes, trials = DemoEyes(work), []
    entry = weight_files.table()["models"]["demo-face-embedding"]
    rules = Rules(Thresholds(float(entry["above"]), float(entry["below"])))
    for seed in seeds:
        clips = {f"{seed}-{file}": many.spec for file, many in many_people(seed).items()}
        files = {name: _written(work / "drawn" / name, spec) for name, spec in clips.items()}
        looked = looked_at(eyes, work, files, log)
        template = _template(eyes, work / "pictures" / str(seed), seed, rules.thresholds)
        who = str(subject_of(seed))
        cases = [drawn_case(name, spec, looked[name]) for name, spec in clips.items()]
        trials += [tried(case, who, template, rules, "sface") for case in cases]
    return Table("The generator's people", _NOTE, COUNTS, delivered(trials, lambda t: t.case.group))


def _written(path: Path, spec: ClipSpec) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path if path.exists() else write_clip(spec, path)


def _template(eyes: Eyes, folder: Path, seed: int, thresholds: Thresholds) -> Template:
    """By the drawn pictures of the subject, a stranger's among them, and two of a friend."""
    write_pictures(folder, seed)
    model = eyes.models[EMBEDDINGS[0]]

    def find(picture_rgb: np.ndarray) -> list[EmbeddedFace]:
        return faces.faces_in(model, [picture_rgb])[0]

    own, others = (
        references.examine(folder / name, setting, find)
        for name, setting in (("references", "subject.references"), ("not_subject", "subject.not"))
    )
    return references.settle(own, others, thresholds)[1]


def drawn_case(name: str, spec: ClipSpec, looked: Looked) -> Case:
    """A drawn clip: who is in each box of a kept frame by overlap with what is seen of people."""
    count = len(looked.view)
    who, kind = np.full(count, NOBODY, object), np.full(count, NOBODY, object)
    back, face_who = np.zeros(count, bool), np.full(len(looked.face_of), NOBODY, object)
    there: dict[str, set[int]] = {}
    backs: dict[str, set[int]] = {}
    size = np.array([spec.width, spec.height, spec.width, spec.height])
    for view in np.flatnonzero(looked.kept).tolist():
        people = render_frame(spec, int(looked.frame[view])).people
        for one in _to_be_delivered(people):
            there.setdefault(_name(one), set()).add(view)
            if one.view == "back":
                backs.setdefault(_name(one), set()).add(view)
        for at in np.flatnonzero(looked.view == view).tolist():
            box = tuple((looked.box[at] * size).tolist())
            best = max(people, key=lambda one: overlap(box, one.box_xyxy), default=None)
            if best is not None and overlap(box, best.box_xyxy) > _SAME_BOX:
                who[at], kind[at], back[at] = _name(best), _kind(best), best.view == "back"
                face_who[looked.face_of == at] = _name(best)
    at_once = np.bincount(looked.view).max() if count else 0
    return Case(
        name, name.partition("-")[2].removesuffix(".mp4"), looked, who, kind, back, face_who,
        _frozen(there), int(at_once), _frozen(backs),
    )  # fmt: skip


def _to_be_delivered(people: Sequence[PersonTruth]) -> Iterator[PersonTruth]:
    for one in people:
        x1, y1, x2, y2 = one.box_xyxy
        large = min(x2 - x1, y2 - y1) >= _LARGE_PX
        if _kind(one) == SELF and one.visible_share >= _VISIBLE and large:
            yield one


def _name(one: PersonTruth) -> str:
    return str(one.identity)


def _kind(one: PersonTruth) -> str:
    return one.shown if one.shown in ("mirror", "poster") else SELF


def _frozen(some: Mapping[str, set[int]]) -> dict[str, frozenset[int]]:
    return {who: frozenset(views) for who, views in some.items()}


_NOTE = (
    "The demo's scenes with other people in them, drawn by the generator and seen by the demo's "
    "networks; five pictures and a stranger's as references, two of the friend in subject.not. "
    "Beside a poster of theirs the subject is to be unsure, and the bystander's clips show others."
)
