"""Was everybody in the clips judged by face, and do the crops follow the judgements?

Whether a judgement is right is not checked, because the truth is not known. Checked is whether face
recognition ran, whether its tables agree with each other, and how far apart the scores of different
people are. Pure functions of the tables that `identity_tables` loads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ferrari.ledger.reasons import NOT_SUBJECT, UNSURE_WHO
from ferrari.qc import identity_tables, stage_tables
from ferrari.qc.identity_tables import name_of
from ferrari.reports.checks import FAIL, PASS, WARN, Check, none_of
from ferrari.subject import judgements as words
from ferrari.subject.modes import SINGLE

#: Reasons by the threshold that their score is held against.
_HELD_AGAINST = {
    "above": (words.LIKE_SUBJECT, words.BETWEEN, words.LIKE_NEGATIVE, words.LIKE_BOTH),
    "below": (words.UNLIKE,),
    "body_similarity": (words.CLOTHES_MATCH,),
}
#: Reasons whose score reaches its threshold, and those whose score does not.
_REACHES = (words.LIKE_SUBJECT, words.LIKE_NEGATIVE, words.CLOTHES_MATCH, words.SAME_PLACE)
_FALLS_SHORT = (words.BETWEEN, words.UNLIKE)
_GRADED = (words.LIKE_SUBJECT, words.BETWEEN, words.UNLIKE)
_SLACK = 1e-6  # scores are written with six digits
_MOST_BETWEEN_OF_FEW = 1  # one track in doubt says nothing about the others


def table_checks(judged: pd.DataFrame, ids: Sequence[str]) -> list[Check]:
    """Each clip has its table, and all were made in the same mode."""
    clips = identity_tables.clips(judged)
    once = clips["video"].value_counts().reindex(list(ids), fill_value=0)
    modes = sorted(set(clips["mode"]))
    usual = clips["mode"].mode().iloc[0] if len(clips) else ""
    return [
        none_of(
            "judgements_per_video",
            once.index[once != 1],
            len(ids),
            "Each clip has a table of judgements, with one row of the clip as a whole.",
        ),
        none_of(
            "one_mode_for_all",
            clips["video"][clips["mode"] != usual] if len(modes) > 1 else [],
            len(clips),
            "All clips were judged in one subject.mode. Run the pipeline again without a target, "
            "and the others follow.",
            figure=", ".join(modes) or "no clip",
            bound="one mode",
        ),
    ]


def _one_threshold(tracks: pd.DataFrame) -> Check:
    """Tables of an earlier run would show other thresholds."""
    bad: list[str] = []
    said = []
    for name, reasons in _HELD_AGAINST.items():
        held = tracks[tracks["why"].isin(reasons) & tracks["threshold"].notna()]
        values = held["threshold"].round(6)
        if len(held):
            said.append(f"{name} {', '.join(f'{value:g}' for value in sorted(set(values)))}")
            bad += held["name"][values != values.mode().iloc[0]].tolist()
    return none_of(
        "one_threshold_for_all",
        bad,
        len(tracks),
        "All tracks were held against the same thresholds. Run the pipeline again without a "
        "target, and those of an earlier run are judged anew.",
        figure="; ".join(said) or "no score",
        bound="one of each",
    )


def sum_checks(
    judged: pd.DataFrame, followed: pd.DataFrame, found: pd.DataFrame, crops: pd.DataFrame
) -> list[Check]:
    """Each tracked person is judged once, and no detection is lost.

    `followed` are tables of tracks (`track_checks.load`), `found` rows of detections, `crops` of
    crops. Clips of the mode `single` have no judgements that could add up.
    """
    asked = _asked(judged)
    tracks = identity_tables.tracks(judged)
    tracks = tracks[tracks["video"].isin(asked)]
    linked = followed[followed["track"].notna() & followed["video"].isin(asked)]
    detections = stage_tables.kept(found)
    detections = detections[detections["video"].isin(asked)]
    pairs = pd.MultiIndex.from_frame(linked[["video", "track"]])
    whose = pd.MultiIndex.from_frame(tracks[["video", "linked_track"]])
    first = _first_of_joined(tracks)
    unjudged = [
        name_of(*pair) for pair in pairs.difference(whose.unique()) if tuple(pair) not in first
    ]
    unknown = tracks["who"].isin([words.SUBJECT, words.NOT_SUBJECT, words.UNSURE])
    twice = tracks.duplicated(["video", "track"])
    strange = tracks["name"][twice | ~unknown | ~whose.isin(pairs)]
    return [
        none_of(
            "one_judgement_a_track",
            [*strange, *unjudged],
            max(len(tracks), len(linked)),
            "Each track of a clip has a judgement (one each, where it was cut in several), and "
            "each judgement belongs to a track.",
        ),
        _add_up("tracks_count_their_crops", tracks, "track", crops[crops["video"].isin(asked)]),
        _add_up(
            "judged_frames_add_up",
            _as_first(tracks, "linked_track", first),
            "linked_track",
            _as_first(detections, "track", first),
        ),
    ]


def _first_of_joined(tracks: pd.DataFrame) -> dict[tuple[str, float], float]:
    """Of linked tracks that a person joined, by clip and number: the least number of those joined.

    A piece of one may be joined to a second, and another piece to a third.
    """
    first: dict[tuple[str, float], float] = {}
    for line in tracks[tracks["joined"] != ""].to_dict("records"):
        video = line["video"]
        numbers = {float(line["linked_track"]), *map(float, line["joined"].split())}
        known = {first[video, one] for one in numbers if (video, one) in first}
        least = min(numbers | known)
        together = numbers | {
            one for (of, one), of_it in first.items() if of == video and of_it in known
        }
        first |= {(video, one): least for one in together}
    return first


def _as_first(
    rows: pd.DataFrame, column: str, first: Mapping[tuple[str, float], float]
) -> pd.DataFrame:
    """`rows` with the first number of joined tracks in `column` for each of them."""
    if not first:
        return rows
    pairs = zip(rows["video"], rows[column], strict=True)
    return rows.assign(**{column: [first.get(pair, pair[1]) for pair in pairs]})


def _asked(judged: pd.DataFrame) -> set[str]:
    """The clips in which people were judged."""
    clips = identity_tables.clips(judged)
    return set(clips["video"][clips["mode"] != SINGLE])


_COUNTED = {
    "tracks_count_their_crops": "Each track has as many rows of crops as frames it is seen in.",
    "judged_frames_add_up": "The tracks that a track was cut in are seen in as many frames as it "
    "has detections; tracks that a person joined are counted together.",
}


def _add_up(name: str, tracks: pd.DataFrame, column: str, rows: pd.DataFrame) -> Check:
    """The frames of tracks, summed by their number in `column`, are the numbers of `rows`."""
    frames = tracks.groupby(["video", column])["frames"].sum().rename_axis(["video", "track"])
    counted = rows.groupby(["video", "track"], dropna=False).size()
    both = pd.DataFrame({"frames": frames, "rows": counted}).fillna(0)
    wrong = both.index[both["frames"] != both["rows"]]
    bad = [name_of(*pair) for pair in wrong]
    return none_of(name, bad, len(both), _COUNTED[name])


def face_checks(judged: pd.DataFrame, found: pd.DataFrame, qc_settings: Mapping) -> list[Check]:
    """Faces were searched where people are, and enough of them could be judged."""
    clips = identity_tables.clips(judged)
    clips = clips[clips["mode"] != SINGLE]
    with_people = clips[clips["video"].isin(stage_tables.kept(found)["video"])]
    seen, used = float(with_people["faces_seen"].sum()), float(with_people["faces"].sum())
    share = used / seen if seen else float(with_people.empty)
    floor = qc_settings["min_faces_judged"]
    more = with_people["faces"] > with_people["faces_seen"]
    frames = stage_tables.kept(found).groupby("video")["parent"].nunique()
    missed = clips["frames"].fillna(0) != clips["video"].map(frames).fillna(0)
    return [
        none_of(
            "frames_with_people_judged",
            clips["video"][missed],
            len(clips),
            "Each clip was judged on all of its frames that show people. Delete the clip's table "
            "of detections, and run again.",
        ),
        none_of(
            "faces_searched",
            with_people["video"][with_people["faces_seen"].isna() | more],
            len(with_people),
            "Faces were searched in each clip that shows people; whether any is there is another "
            "question. Delete the clips' tables of detections, and run again.",
        ),
        Check(
            "faces_judged",
            PASS if share >= floor else WARN,
            f"{used:,.0f} of {seen:,.0f} faces" if len(with_people) else "no people",
            f"at least {floor:.0%}",
            "The share of faces that are large, sharp and frontal enough to say who it is "
            "(qc.min_faces_judged). Where nearly none is, people are known by little: film closer, "
            "or from the front now and then.",
        ),
    ]


def judgement_checks(
    judged: pd.DataFrame, crops: pd.DataFrame, qc_settings: Mapping
) -> list[Check]:
    """Judgements follow from their scores, and the crops from the judgements."""
    tracks = identity_tables.tracks(judged)
    score, threshold = tracks["score"], tracks["threshold"]
    short = tracks["why"].isin(_REACHES) & ~(score >= threshold - _SLACK)
    over = tracks["why"].isin(_FALLS_SHORT) & ~(score < threshold + _SLACK)
    denied = tracks["why"].isin([words.LIKE_NEGATIVE, words.LIKE_BOTH])
    let_in = denied & (tracks["who"] == words.SUBJECT)
    return [
        _one_threshold(tracks),
        none_of(
            "judgements_follow_scores",
            tracks["name"][short | over],
            int(tracks["why"].isin([*_REACHES, *_FALLS_SHORT]).sum()),
            "Each score lies on the side of its threshold that its judgement says.",
        ),
        none_of(
            "negatives_refused",
            tracks["name"][let_in],
            int(denied.sum()),
            "Nobody who is like a picture in subject.not is taken for the subject.",
            figure=f"{int(let_in.sum()):,} of {int(denied.sum()):,} such tracks",
        ),
        _fates(judged, crops[crops["video"].isin(_asked(judged))]),
        _scores_apart(tracks, qc_settings["max_between"]),
    ]


def _fates(judged: pd.DataFrame, crops: pd.DataFrame) -> Check:
    """A track that is the subject may hold detections that are unsure; all else is as its track."""
    joined = identity_tables.fates(crops, judged)
    doubted = (joined["who"] == words.UNSURE) & (joined["judged"] == words.SUBJECT)
    wrong = (joined["who"] != joined["judged"]) & ~doubted
    silent = (joined["who"] == words.SUBJECT) & (joined["identity_by"] == "")
    return none_of(
        "crops_follow_judgements",
        joined["item"][wrong | silent],
        len(joined),
        "Each crop is of a track that is the subject, and says on what evidence; each detection of "
        "somebody else is dropped, and each unsure one is quarantined.",
    )


def _scores_apart(tracks: pd.DataFrame, most: float) -> Check:
    """How many tracks have scores between the thresholds, and how far apart the two peaks are."""
    graded = tracks[tracks["why"].isin(_GRADED) & tracks["score"].notna()]
    between = graded[graded["why"] == words.BETWEEN]
    too_many = len(between) > max(_MOST_BETWEEN_OF_FEW, most * len(graded))
    like = graded["score"][graded["why"] == words.LIKE_SUBJECT]
    unlike = graded["score"][graded["why"] == words.UNLIKE]
    said = f"{len(between):,} of {len(graded):,} tracks between"
    said += f"; the subject from {like.min():.2f}" if len(like) else ""
    said += f"; others up to {unlike.max():.2f}" if len(unlike) else ""
    return none_of(
        "scores_apart",
        between["name"] if too_many else [],
        len(graded),
        "Tracks whose faces are neither clearly the subject's nor clearly somebody else's "
        "(qc.max_between). Where they are many, the references are too few or too unlike what the "
        "clips show: add pictures from other sides, or look whether subject.above suits.",
        otherwise=WARN,
        bound=f"at most {most:.0%} between",
        figure=said,
    )


def delivery_checks(
    judged: pd.DataFrame, videos: pd.DataFrame, qc_settings: Mapping
) -> list[Check]:
    """What the clips contribute: whether the subject is in them at all, and on what evidence."""
    asked = videos[(videos["mode"] != SINGLE) & (videos["considered"] > 0)]
    empty = asked["video"][asked["kept"] == 0]
    nowhere = len(asked) > 0 and len(empty) == len(asked)
    nobody = (identity_tables.tracks(judged)["why"] == words.NOBODY_NAMED).any()
    seen = asked[["by_face", "by_track", "by_review"]].sum(axis=1) > 0
    faceless = asked["video"][(asked["crops"] > 0) & ~seen]
    most = qc_settings["max_unsure"]
    unsure = asked[asked["quarantined"] > most * asked["considered"]]
    return [
        Check(
            "subject_found",
            FAIL if nowhere and not nobody else PASS,
            f"in {len(asked) - len(empty):,} of {len(asked):,} clips with people",
            "at least 1",
            "Somebody in the clips is the subject. If nobody is, the references may be of another "
            "person, or subject.above is too high: look at the scores on the page. Nothing is "
            "delivered.",
        ),
        none_of(
            "clips_show_the_subject",
            [] if nowhere else empty,
            len(asked),
            "Clips with people none of whom is the subject: right if others were filmed, wrong if "
            "the subject was not recognised.",
            otherwise=WARN,
        ),
        none_of(
            "clips_known_by_a_face",
            faceless,
            int((asked["crops"] > 0).sum()),
            "Clips whose crops are the subject by clothes, or because no other person is in the "
            "set: no face in them says so. Look at some.",
            otherwise=WARN,
        ),
        none_of(
            "unsure_share_per_video",
            unsure["video"],
            len(asked),
            "Clips in which more detections wait for somebody to look at them than qc.max_unsure. "
            "The pictures on the page say why; references from other sides make more of them sure.",
            otherwise=WARN,
            bound=f"at most {most:.0%}",
            figure=_unsure_said(asked),
        ),
    ]


def _unsure_said(asked: pd.DataFrame) -> str:
    total, unsure = int(asked["considered"].sum()), int(asked["quarantined"].sum())
    return f"{unsure:,} of {total:,} detections" if total else "no people"


def picture_check(dataset: Path, crops: pd.DataFrame) -> Check:
    """What is unsure has a picture that somebody can look at."""
    unsure = crops[crops["reason"] == UNSURE_WHO]
    missing = [
        item
        for item, path in zip(unsure["item"], unsure["path"], strict=True)
        if not path or not (dataset / path).is_file()
    ]
    return none_of(
        "unsure_pictures_kept",
        missing,
        len(unsure),
        "Each detection that is unsure has its picture in bad_frames, to be looked at.",
    )


def counts(judged: pd.DataFrame, crops: pd.DataFrame, ids: Sequence[str]) -> dict[str, object]:
    """The figures at the top of the page."""
    if identity_tables.nobody_is_judged(judged):
        return {"Videos": len(ids), "Detections": len(crops)}
    tracks = identity_tables.in_frames(judged)
    reasons = crops["reason"].value_counts()
    unsure = tracks.loc[tracks["who"] == words.UNSURE, ["video", "track"]]
    waiting = crops.loc[crops["reason"] == UNSURE_WHO, ["video", "track"]].drop_duplicates()
    settled = len(unsure) - len(unsure.merge(waiting))
    return {
        "Videos": len(ids),
        "Tracks (one person through one clip)": len(tracks),
        "Subject": int((tracks["who"] == words.SUBJECT).sum()),
        "Somebody else": int((tracks["who"] == words.NOT_SUBJECT).sum()),
        "Unsure": len(unsure),
        **({"Unsure, with nothing to decide": settled} if settled else {}),
        "Detections of somebody else": int(reasons.get(NOT_SUBJECT, 0)),
        "Detections that wait, unsure": int(reasons.get(UNSURE_WHO, 0)),
    }
