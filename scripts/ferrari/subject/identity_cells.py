"""Who a detection shows, as the cells of its row in the table of crops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ferrari.ledger import tables
from ferrari.ledger.reasons import NOT_SUBJECT, UNSURE_WHO
from ferrari.review.applying import as_made, retold
from ferrari.subject import judgements
from ferrari.subject.identities import Identities, Identity


def identity_of(detection: str, known: Identities) -> Identity:
    """The identity of a detection; LedgerError if the sightings do not have it."""
    if detection not in known.of_item:
        raise tables.LedgerError(
            f"the sightings have no detection {detection}: they are not of this table of "
            "detections; delete both, and the next run makes them anew"
        )
    return known.of_item[detection]


def verdicts(detections: Iterable[str], known: Identities | None) -> list[str]:
    """Who each detection shows, without the scores; empty where nobody is judged (None)."""
    if known is None:
        return []
    return [identity_of(detection, known).judgement.who for detection in detections]


def evidence(identity: Identity) -> tables.Row:
    """The cells with the evidence for who the person is."""
    judged = identity.judgement
    return {
        "track": identity.track,
        "identity_by": judged.by,
        "identity_why": judged.why,
        "identity_score": _rounded(judged.score),
        "sureness": _rounded(judged.sureness),
    }


def measured(identity: Identity) -> tables.Row:
    """The score and the threshold of a row that is refused for who it shows."""
    judged = identity.judgement
    return {"value": _rounded(judged.score), "threshold": _rounded(judged.threshold)}


def in_words(identity: Identity) -> str:
    """Why it is judged so, for people."""
    return judgements.WORDS[identity.judgement.why]


def told_anew(row: Mapping[str, str], known: Identities | None) -> tables.Row:
    """A reused row with today's evidence: its outcome is the same, its score may differ."""
    if known is None:
        return dict(row)
    identity = identity_of(row["parent"], known)
    told = {**row, **evidence(identity)}
    reason = as_made(row)["reason"]  # kept by a person: the measured figures stay in the row
    if reason in (NOT_SUBJECT, UNSURE_WHO):
        told |= measured(identity)
    if reason == UNSURE_WHO:
        told["detail"] = retold(row["detail"], in_words(identity))
    return told


def _rounded(figure: float | None) -> float | str:
    return "" if figure is None else round(figure, 6)
