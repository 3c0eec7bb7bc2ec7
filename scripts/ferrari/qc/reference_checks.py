"""How the subject was determined: by references that agree, or by a vote of clips with a winner.

Pure functions of subject/references.csv and subject/people.csv, as `identity_tables` loads them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ferrari.common.counts import first_of
from ferrari.common.visible_text import shown
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import DROPPED_BY_REVIEW
from ferrari.qc import identity_tables
from ferrari.reports.checks import FAIL, PASS, WARN, Check, none_of
from ferrari.subject import judgements, references
from ferrari.subject.answer_file import Told
from ferrari.subject.modes import CLUSTER, FOLDER, REFERENCES, SINGLE

#: Fewer references than this cannot outvote a wrong one among them.
FEW = 3
#: The next person may be in this share of as many clips as the subject, at most.
CLOSE = 0.5
#: So many pictures that are not used are named where nobody is; the page lists all.
_TOLD = 5
#: What `setting` says of pictures of the subject, and of people who are not.
OF_SUBJECT, OF_OTHERS = "subject.references", "subject.not"
_YES = "1"


def checks(
    told: Told, pictures: pd.DataFrame, people: pd.DataFrame, judged: pd.DataFrame
) -> list[Check]:
    """The checks that the mode of the run has an answer to; `told` is what was said of it."""
    modes = set(identity_tables.clips(judged)["mode"])
    found = [one_person(told, people)] if SINGLE in modes else []
    found += [named(told, judged, pictures)] if modes - {SINGLE} else []
    found += [voters(told), leads(people)] if CLUSTER in modes else []
    found += picture_checks(pictures) if REFERENCES in modes else []
    found += [unused(pictures)] if len(pictures) else []
    return found


def named(told: Told, judged: pd.DataFrame, pictures: pd.DataFrame) -> Check:
    """Somebody is the subject: the references say who, or the vote has a winner."""
    given = bool((pictures["setting"] == OF_OTHERS).any())
    new = "a folder of this set, such as strangers, and name it in subject.not"
    folder = "the folder that subject.not names" if given else new
    tracks = identity_tables.tracks(judged)
    nameless = tracks[tracks["why"] == judgements.NOBODY_NAMED] if told.named else tracks
    return none_of(
        "subject_named",
        nameless["name"],
        len(tracks),
        "While it is not known who the subject is, nothing is delivered. Put three or more "
        f"pictures of the subject alone into the folder {FOLDER} of this set, or name another in "
        "subject.references (subject.mode has to be null or references). Or, if somebody else is "
        f"in about as many clips as the subject: put pictures of that person into {folder}. The "
        f"face in such a picture needs {references.REFERENCE_FACE:g} px. A decision about a track "
        f"names nobody for the set.{_unused_said(pictures) if len(nameless) else ''}",
        bound="somebody",
        figure=told.said,
    )


def _unused_said(pictures: pd.DataFrame) -> str:
    """' Not used: ...' for pictures that changed nothing: file, reason and what was measured."""
    bad = _unused(pictures)
    said = []
    for line in bad.to_dict("records"):
        figures = [line["value"], line["threshold"]]
        measured = f": {figures[0]:g} (bound {figures[1]:g})" if pd.notna(figures).all() else ""
        said.append(f"{shown(line['file'], 80)} ({_why(line)}{measured})")
    return f" Not used: {first_of(said, _TOLD)}." if said else ""


def voters(told: Told) -> Check:
    """Most of the clips that said who the subject is are still there."""
    gone, there = len(told.gone), len(told.voters)
    return none_of(
        "voting_clips_there",
        told.gone if gone > there else [],
        gone + there,
        "Clips that voted on who the subject is, and are no longer among the raw files. The others "
        "decide; delete subject_pinned.csv in the dataset, and clips are drawn anew.",
        otherwise=WARN,
        bound="at least half are there",
        figure=f"{there:,} of {gone + there:,} are there",
    )


def vote_said(people: pd.DataFrame) -> str:
    """Who is in how many of the clips that vote."""
    ranked = people.sort_values("clips", ascending=False, kind="stable")
    won = ranked[ranked["subject"] == _YES]
    rest = ranked.drop(index=won.index)
    if not len(won):
        clips = ", ".join(f"{clips:.0f}" for clips in ranked["clips"].head(3))
        return f"nobody; {len(people):,} people, in {clips} clips"
    said = f"the person in {won['clips'].iloc[0]:.0f} voting clips"
    if len(rest):
        said += f"; the next of {len(people):,} people is in {rest['clips'].iloc[0]:.0f}"
    return said


def leads(people: pd.DataFrame) -> Check:
    """The subject is in clearly more clips than anybody else."""
    won = people[people["subject"] == _YES]
    rest = people.drop(index=won.index)
    most = float(rest["clips"].max()) if len(rest) else 0.0
    close = bool(len(won)) and most > CLOSE * float(won["clips"].max())
    return Check(
        "subject_leads_the_vote",
        WARN if close else PASS,
        vote_said(people) if len(people) else "no people",
        f"the next in at most {CLOSE:.0%} as many",
        "Somebody else is in nearly as many of the voting clips as the person who was taken for "
        "the subject. Look at the pictures on the page; one reference picture settles it.",
    )


def one_person(told: Told, people: pd.DataFrame) -> Check:
    """In the mode `single` nobody is judged, so there should be one person."""
    return Check(
        "one_person_where_nobody_is_judged",
        WARN if len(people) > 1 else PASS,
        told.said,
        "at most 1 person",
        "With subject.mode: single whoever detect.policy chooses is in the set. If a sample of the "
        "clips shows more than one person, use subject.mode: references or cluster, or take the "
        "clips of others out.",
    )


def picture_checks(pictures: pd.DataFrame) -> list[Check]:
    """The references are enough, are one person's, and each file that was given counts."""
    own = pictures[pictures["setting"] == OF_SUBJECT]
    used = own[own["outcome"] == KEPT]
    strangers = own[own["reason"] == references.STRANGER]
    doubtful = used[(used["value"] < used["threshold"]) & used["value"].notna()]
    scores = used["value"][used["threshold"].notna()]
    return [
        Check(
            "references_enough",
            FAIL if used.empty else WARN if len(used) < FEW else PASS,
            f"{len(used):,} used",
            f"at least {FEW}",
            "One picture alone is confirmed by nothing, and of two that differ nobody can say "
            "which is right. Add pictures of the subject from several sides.",
        ),
        none_of(
            "references_without_strangers",
            strangers["file"],
            len(own),
            "Pictures that show somebody else than most of the others. They are left out; take "
            "them out of the folder, or into that of subject.not.",
            otherwise=WARN,
        ),
        none_of(
            "references_agree",
            doubtful["file"],
            len(used),
            "Pictures that are used, though they are less like the others than a face in a clip "
            "has to be. Look whether they show the subject.",
            otherwise=WARN,
            bound=_bound_said(used),
            figure=f"lowest {scores.min():.2f}" if len(scores) else "nothing to compare",
        ),
    ]


def _bound_said(used: pd.DataFrame) -> str:
    bounds = used["threshold"].dropna()
    return f"at least {bounds.max():g}" if len(bounds) else "-"


def unused(pictures: pd.DataFrame) -> Check:
    """Files that change nothing, except duplicates and those that a person dropped."""
    return none_of(
        "reference_files_used",
        _unused(pictures)["file"],
        len(pictures),
        "Files in the folders of subject.references and subject.not that are not used: a table "
        "on the page says why each.",
        otherwise=WARN,
    )


def _unused(pictures: pd.DataFrame) -> pd.DataFrame:
    harmless = [references.DUPLICATE_PICTURE, references.STRANGER, DROPPED_BY_REVIEW]
    return pictures[(pictures["outcome"] != KEPT) & ~pictures["reason"].isin(harmless)]


def listed(pictures: pd.DataFrame) -> pd.DataFrame:
    """The table of the page: a row a picture, those that are not used first."""
    named = {OF_SUBJECT: "subject", OF_OTHERS: "not the subject"}
    order = pictures.assign(last=pictures["outcome"] == KEPT).sort_values("last", kind="stable")
    said = [_why(line) for line in order.to_dict("records")]
    return pd.DataFrame(
        {
            "file": order["file"].to_numpy(),
            "of": order["setting"].map(named).fillna(order["setting"]).to_numpy(),
            "outcome": order["outcome"].to_numpy(),
            "why": said,
            "value": order["value"].to_numpy(),
            "threshold": order["threshold"].to_numpy(),
        }
    )


def _why(line: dict) -> str:
    said: Sequence[str] = (references.WORDS.get(line["reason"], ""), line["detail"])
    return "; ".join(part for part in said if part)
