"""Begin a set of your own: a folder with a commented `my.yaml`, outside the checkout.

    python scripts/tools/new_set.py WORK --clips FOLDER [--references FOLDER] [--token WORD]
                                    [--class WORD]

Nothing that is there is changed. Exit status: 0 made, 2 not (the message says why).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where `ferrari` lies

from ferrari.common import command_line

if __name__ == "__main__":
    command_line.begin()

import argparse
import json
import os
from collections.abc import Mapping, Sequence

import yaml

from ferrari.common import near_paths, settings
from ferrari.common.atomic_files import write_text
from ferrari.common.counts import number_of
from ferrari.common.errors import FerrariError
from ferrari.common.places import ROOT
from ferrari.jobs import error_advice
from ferrari.ledger import raw_place
from ferrari.ledger.raw_listing import kinds_told, look_through, no_film
from ferrari.provenance.last_run import OWN
from ferrari.storage import buckets

#: Where a run looks for pictures of the subject, unless a setting says otherwise.
REFERENCES = "references"
#: What captions call a subject, unless somebody says otherwise: the defaults of the settings.
TOKEN, CLASS = "sks", "person"
_TEXT = """\
# The settings of this set; what is not named here has its default (config/config.yaml of the
# pipeline names all of them). Paths are as they stand, or below this folder.
raw_videos: {clips}   # the folder of your clips; they are only read
subject:
  token: {token}   # the rare word that will name your subject in captions
  class: {subject_class}   # what your subject is: person, man, woman, dog ...
  references: {references}   # folder of pictures of the subject alone; null: references
  not: null   # folder of pictures of people who are not the subject; null: none
extract:
  fps: 2.0   # images taken from each second of footage
# Files of your own in place of the pipeline's. The networks' weights are fetched; weights of yours
# are a name in config/models.yaml, or a path: .pt, .onnx, .engine, a folder of OpenVINO.
detect:
  weights: yolo11s   # what finds people
  weights_sha256: null   # the SHA-256 of a file of your own; a .pt does not load without it
mask:
  segmenter: isnet   # what cuts people out (docs/settings.md lists them)
  weights: null   # its weights; null: those that belong to the segmenter
  weights_sha256: null
augment:
  environment_folder: null   # folder of background pictures; null: scenes out of your other clips
caption:
  overrides: null   # captions by hand, a CSV file; null: dataset/captions/overrides.csv, if there
  backend: template   # template | transformers: a network adds its words
  model: null   # folder of that network
package:
  formats: [kohya, imagefolder]   # the trainers that packages are made for (docs/packages.md)
  resolution: 1024   # the resolution that you will train at, px
"""


class NewSetError(FerrariError, ValueError):
    """The set cannot be begun as asked; says what stands in the way and what to do."""


def begin(
    work: Path, clips: str, token: str, subject_class: str, references: Path | None = None
) -> str:
    """Write the settings of a set into the folder `work`; what to say of it. `clips` is a folder or
    the address of a bucket, `references` the folder of pictures of the subject. An empty `token` or
    `subject_class` is the default's, and that is said.

    Raises NewSetError where clips or pictures are not there, `work` lies in the checkout or among
    the clips, or has settings, and where a run would refuse a word.
    """
    work = Path(os.path.abspath(work))
    clips = clips if buckets.is_address(clips) else os.path.abspath(clips)
    pictures = Path(os.path.abspath(references)) if references else work / REFERENCES
    if references and not pictures.is_dir():
        raise NewSetError(
            f"there is no folder {pictures}: REFERENCES= names one with pictures of the subject."
            f"{near_paths.hint(pictures)}"
        )
    _require_clips(clips)
    _require_place(work, clips)
    videos = look_through(clips, []).videos
    others = no_film(clips, videos, animations=False)
    apart = f" Other files, no clips: {kinds_told(others, videos)}." if others else ""
    first = "" if len(videos) > len(others) else f"put your clips into {clips}, and "
    told = {
        "clips": clips,
        "token": token or TOKEN,
        "subject_class": subject_class or CLASS,
        "references": str(pictures) if references else None,
    }
    text = _TEXT.format(**{name: _quoted(value) for name, value in told.items()})
    _require_valid(text)
    work.mkdir(parents=True, exist_ok=True)
    write_text(work / OWN, text)  # whole or not at all: what is there stays
    return (
        f"{number_of(len(videos) - len(others), 'file')} in {clips} may be clips.{apart}\n"
        f"{_references_told(pictures)}\n"
        f"{_words_told(token, subject_class)}\n"
        f"  settings   {work / OWN}   (have a look: the token, the class, the trainers)\n"
        f'  then       {first}make plan WORK="{work}", make run WORK="{work}"'
    )


def _require_clips(clips: str) -> None:
    """Raise NewSetError where there is no folder of clips."""
    if os.path.isfile(clips):
        raise NewSetError(f"{clips} is a file: name the folder that holds it, CLIPS=.")
    if not raw_place.is_there(clips):
        raise NewSetError(
            f"there is no folder {clips}: name the one that holds your clips, CLIPS=."
            f"{near_paths.hint(clips)}"
        )


def _require_place(work: Path, clips: str) -> None:
    """Raise NewSetError where a set would spoil, or be spoilt by, what is in its folder already."""
    if work.resolve() == ROOT or ROOT in work.resolve().parents:
        raise NewSetError(
            f"{work} lies in the pipeline's own folder {ROOT}: name a folder beside it, WORK=, so "
            "that the set outlives a new version of the pipeline"
        )
    if not buckets.is_address(clips) and work.resolve().is_relative_to(Path(clips).resolve()):
        raise NewSetError(
            f"{work} lies in the folder of the clips, {clips}, where all that runs make would be "
            "taken for clips: name a folder beside it, WORK="
        )
    if (work / OWN).exists():
        raise NewSetError(f"{work / OWN} is there already: edit it, or name another folder, WORK=")


def _require_valid(text: str) -> None:
    """Raise NewSetError for settings that a run would refuse: of all of them the two words alone
    are the person's own.
    """
    try:
        settings.check(settings.completed(yaml.safe_load(text)), settings.SCHEMA)
    except settings.SettingsError as error:
        raise NewSetError(
            f"{error}\nTOKEN= is subject.token, CLASS= is subject.class: give other words"
        ) from error


def _quoted(value: str | None) -> str:
    """A value as YAML. What of a folder's name is no UTF-8 is spelt out: the file would be none."""
    odd = value is not None and any("\udc80" <= char <= "\udcff" for char in value)
    return json.dumps(value, ensure_ascii=odd)


def _references_told(pictures: Path) -> str:
    """Whether it is known already who the subject is: what a run would find out after an hour."""
    count = len(look_through(str(pictures), []).videos) if pictures.is_dir() else 0
    if count:
        return f"Pictures that say who the subject is: {count:,} in {pictures}."
    return (
        f"No pictures of the subject are in {pictures}: put some there (one face in each), or the "
        "subject is whom most clips show."
    )


def _words_told(token: str, subject_class: str) -> str:
    """How captions will name the subject: a word that nobody chose is trained all the same."""
    said = f"Captions will call the subject '{token or TOKEN} {subject_class or CLASS}'"
    missing = [name for name, word in (("TOKEN", token), ("CLASS", subject_class)) if not word]
    if not missing:
        return f"{said}."
    return (
        f"{said}: no {' and no '.join(missing)} was given. Change it in the settings before the "
        "first run, if it is to be another."
    )


def _require_named(folders: Mapping[str, str]) -> None:
    """Raise NewSetError for a folder that is not named: make hands it on as an empty word, which
    would be the folder that make runs in.
    """
    for name, folder in folders.items():
        if not folder:
            raise NewSetError(
                f"{name}= is missing: make new WORK=folder CLIPS=folder, the set's new folder and "
                "the one that holds your clips"
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="new_set", description=__doc__.partition("\n")[0])
    parser.add_argument("work", help="the folder that the set gets")
    parser.add_argument("--clips", required=True, help="the folder with the clips, or s3://...")
    parser.add_argument("--references", help="a folder with pictures of the subject alone")
    parser.add_argument("--token", default="", help="the word that names the subject")
    parser.add_argument("--class", dest="subject_class", default="", help="what it is")
    given = parser.parse_args(arguments)
    try:
        _require_named({"WORK": given.work, "CLIPS": given.clips})
        pictures = Path(given.references) if given.references else None
        work = Path(given.work)
        print(begin(work, given.clips, given.token, given.subject_class, pictures))
    except FerrariError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(error_advice.in_words(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    command_line.run(main)
