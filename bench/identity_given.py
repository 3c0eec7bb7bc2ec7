"""A cast of one's own: people who turn, cut out of film of their front and of their back.

A folder has for each person NAME_front and NAME_back, films (.mp4, .mkv, ...) of that person alone,
in one outfit and from one distance. The first half of the front is for references, the second and
the back are put into the scenes of `identity_composed`. Nothing is fitted on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import identity_cast as cast
from bench import identity_losses as losses
from bench import identity_outcomes as outcomes
from bench import identity_people as people
from bench.identity_cases import composed_case
from bench.identity_look import Eyes, looked_at
from bench.identity_tables import Table, trials_of
from bench.measure import PeerMissingError
from ferrari.common.atomic_files import sha256_bytes, sha256_file
from ferrari.common.counts import first_of
from ferrari.ledger.raw_folder import is_named_as_film
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template

_FRONT, _BACK = "_front", "_back"
#: People of a cast: each scene has three.
_LEAST = 3
#: So many pairs of films are named, in a message.
_NAMED = 5
#: px, height of the pictures that they are cut out of.
_HIGH = 1080


@dataclass(frozen=True)
class Given:
    """The films of one person."""

    front: Path
    back: Path


def people_in(folder: Path) -> dict[str, Given]:
    """By name; PeerMissingError where the folder holds no cast."""
    films = [path for path in sorted(folder.glob("*")) if is_named_as_film(path.name)]
    twice = [first_of(both, 2, " and ") for both in _of_one_name(films)]
    if twice:
        raise PeerMissingError(
            f"{folder} holds films of one name: {first_of(twice, _NAMED, '; ')}. Leave one"
        )
    parts = {
        end: {path.stem.removesuffix(end): path for path in films if path.stem.endswith(end)}
        for end in (_FRONT, _BACK)
    }
    halves = set(parts[_FRONT]) ^ set(parts[_BACK])
    if halves:
        raise PeerMissingError(f"of {', '.join(sorted(halves))} only the front or the back is here")
    if len(parts[_FRONT]) < _LEAST:
        raise PeerMissingError(
            f"{folder} holds {len(parts[_FRONT])} people; put NAME{_FRONT}.mp4 and NAME{_BACK}.mp4 "
            f"of {_LEAST} or more there"
        )
    return {name: Given(path, parts[_BACK][name]) for name, path in parts[_FRONT].items()}


def _of_one_name(films: Sequence[Path]) -> list[list[str]]:
    """The names of films that differ in their ending alone."""
    by_stem: dict[str, list[str]] = {}
    for path in films:
        by_stem.setdefault(path.stem, []).append(path.name)
    return [names for names in by_stem.values() if len(names) > 1]


def place_of(given: Mapping[str, Given], work: Path) -> Path:
    """The folder in `work` for what is made of these very films. Cut-outs and clips are kept by
    name, and who is in a clip hangs on all names: another cast would be judged by this one's.
    """
    films = [
        f"{who} {sha256_file(one.front)} {sha256_file(one.back)}" for who, one in given.items()
    ]
    return work / sha256_bytes("\n".join(films).encode())[:20]


def measured(folder: Path, work: Path, rules: Rules, quick: bool, log=print) -> list[Table]:
    """The tables of composed clips, of a cast in a folder; PeerMissingError without one.

    `quick`: two trios of them.
    """
    given = people_in(folder)
    work = place_of(given, work)
    work.mkdir(parents=True, exist_ok=True)
    eyes = Eyes(work)
    made = _templates(eyes, work, given, log)
    trios = cast.trios(list(given), quick)
    actors = {
        who: cast.cut_out(
            eyes, work, who, cast.Source([(one.front, 0.5, 1.0)], one.back, _HIGH), log
        )
        for who, one in given.items()
        if any(who in trio for trio in trios)
    }
    clips = cast.filmed_together(actors, work, trios, log)
    seen = looked_at(eyes, work, {clip.path.name: clip.path for clip in clips}, log)
    cases = [composed_case(clip, seen[clip.path.name]) for clip in clips]
    trials = trials_of(cases, made, rules, "sface")
    several = [trial for trial in trials if trial.there]
    return [
        *outcomes.counts(several),
        outcomes.against(several, made, rules),
        outcomes.views(several),
        outcomes.bounds(trials),
        outcomes.why(several),
        losses.table(several, outcomes.kind),
    ]


def _templates(eyes: Eyes, work: Path, given: Mapping[str, Given], log) -> dict[str, Template]:
    """Each person's, of faces in the first half of the front."""
    fronts = {who: one.front for who, one in given.items()}
    looked = looked_at(eyes, work, fronts, log)
    made = {}
    for who in given:
        faces = people.references(looked[who], people.Share(who, 0.0, 0.5), "sface")
        made[who] = Template(faces, faces[:0])
    without = [who for who, one in made.items() if not len(one.members)]
    if without:
        raise PeerMissingError(f"no face in the first half of the front of {', '.join(without)}")
    return made
