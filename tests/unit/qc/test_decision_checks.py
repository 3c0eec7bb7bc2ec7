"""What QC7, the card and Croissant say of a person's decisions: each kind is counted."""

from __future__ import annotations

from ferrari.qc import decision_checks
from ferrari.reports.checks import WARN
from ferrari.review import deeds, effects
from ferrari.review.contract import MAY_SAY
from ferrari.review.effects import Effect
from tests.unit.review.rows import decided


def effects_of(state):
    return [Effect(decided(kind, scope=scopes[0]), state) for kind, scopes in MAY_SAY.items()]


def test_each_kind_that_holds_is_counted_on_the_page_and_in_words():
    counts = deeds.counted(effects_of(effects.APPLIED))
    assert counts == dict.fromkeys(MAY_SAY, 1)
    assert set(decision_checks.counts(effects_of(effects.APPLIED)).values()) == {1}
    assert len(decision_checks.counts(effects_of(effects.APPLIED))) == len(MAY_SAY)
    said = deeds.in_words({**counts, "mask": 2, "merge_tracks": 1200})
    assert said.startswith("A person looked and dropped 1 thing (clips,")
    assert "mended 2 masks" in said and "joined 1,200 pairs of tracks" in said
    assert said.endswith("wrote 1 caption.")


def test_what_changes_nothing_is_not_counted_and_is_named():
    vain = effects_of(effects.CANNOT)
    assert deeds.counted(vain) == {} and deeds.in_words({}) == ""
    (_, hold) = decision_checks.checks(vain)
    assert hold.status == WARN and f"{len(vain)} cannot" in hold.explanation


def test_a_picture_whose_name_holds_a_space_is_named_by_its_digest():
    row = decided("drop", "her sister.jpg", "reference", target_sha256="ab" * 32)
    (_, hold) = decision_checks.checks([Effect(row, effects.ABSENT)])
    assert hold.rows == ("ab" * 32,)
