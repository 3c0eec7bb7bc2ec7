"""Commands are told as they can be typed."""

from __future__ import annotations

import shlex

from ferrari.common.places import ROOT, as_typed


def test_a_set_elsewhere_is_named_and_one_in_the_checkout_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert as_typed(".") == as_typed(ROOT) == ""
    odd = tmp_path / "Ana's set"
    odd.mkdir()
    assert shlex.split(f"make tidy{as_typed(odd)}") == ["make", "tidy", f"WORK={odd}"]
    monkeypatch.chdir(odd)
    assert shlex.split(as_typed(".")) == [f"WORK={odd}"], "where a run is at work"
