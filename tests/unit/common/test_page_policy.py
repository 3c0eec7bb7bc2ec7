"""Content-Security-Policies of the pages."""

from __future__ import annotations

from ferrari.common import page_policy

#: CSP level 3, section 8.2: the digest of `alert('Hello, world.');` as its example has it.
HELLO = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"


def directives(policy: str) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in policy.split(";")]
    assert len({name for name, _, _ in parts}) == len(parts), "of two, browsers take the first"
    return {name: sources for name, _, sources in parts}


def test_a_script_is_let_in_by_the_digest_that_browsers_make():
    assert page_policy.script_source(b"alert('Hello, world.');") == HELLO


def test_a_page_runs_its_own_scripts_and_asks_its_own_server():
    found = directives(page_policy.of_page([b"alert('Hello, world.');"], images="'self'"))
    assert found["script-src"] == HELLO and found["connect-src"] == "'self'"
    assert found["default-src"] == found["form-action"] == found["frame-ancestors"] == "'none'"
    assert directives(page_policy.of_page([], images="'self'"))["script-src"] == "'none'"


def test_a_report_fetches_nothing():
    found = directives(page_policy.of_report())
    assert "connect-src" not in found and found["default-src"] == "'none'"
    assert found["img-src"] == "data:"
