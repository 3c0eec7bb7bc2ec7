"""Each code of a refusal is written out once, is used, explained, and known for its stage."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ferrari.ledger import reason_words, reasons, tables
from ferrari.ledger.columns import COLUMNS, OUTCOMES
from ferrari.ledger.stages import ORDER
from tests.source import parsed

ROOT = Path(__file__).parents[3]
CODES = {*reasons.REASONS, *reasons.REJECTION_VALUES, reasons.OK}


def modules() -> dict[Path, ast.Module]:
    return {
        path: parsed(path) for path in (ROOT / "scripts").rglob("*.py") if path.name != "reasons.py"
    }


def test_no_code_is_written_out_beside_the_registry():
    found = [
        f"{path.name}:{node.lineno} {node.value}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in CODES
    ]
    assert found == []


def test_each_code_is_used():
    used = set()
    for path, tree in modules().items():
        if path.name != "reason_words.py":
            used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert CODES - used - {"OK"} == set()


def test_constants_are_named_after_their_codes():
    assert all(getattr(reasons, code) == code for code in CODES)


def test_each_reason_has_stages_and_an_outcome():
    for reason in reasons.REASONS.values():
        assert reason.stages and set(reason.stages) <= set(ORDER)
        assert reason.outcome in OUTCOMES[1:]


def test_each_code_is_explained_in_one_sentence():
    assert set(reason_words.WORDS) == CODES - {reasons.OK}
    for words in reason_words.WORDS.values():
        assert words.sentence.endswith(".") and words.sentence[0] in "`ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert words.advice.endswith(".") and "|" not in words.sentence + words.advice


def test_settings_that_the_advice_names_are_there():
    config = (ROOT / "config/config.yaml").read_text()
    for words in reason_words.WORDS.values():
        for section, name in re.findall(r"`([a-z]+)\.([a-z_]+)", words.sentence + words.advice):
            body = re.search(rf"^{section}:.*\n((?:  .*\n|\n)*)", config, re.M)
            assert body and re.search(rf"^  {name}:", body[1], re.M), f"{section}.{name}"


def test_the_documents_have_the_registry():
    assert reason_words.table() in (ROOT / "docs/reasons.md").read_text()


@pytest.mark.parametrize(
    ("outcome", "reason", "sound"),
    [
        *(("kept", "", True), ("kept", "OK", True), ("kept", "NOT_TARGET", False)),
        *(("dropped", "NOT_TARGET", True), ("quarantined", "NOT_TARGET", False)),
        *(("dropped", "NOT_A_CODE", False), ("quarantined", "EMPTY_MASK", False)),
        *(("dropped", "", False), ("dropped", "OK", False)),
    ],
)
def test_a_table_takes_the_reasons_of_its_stage_alone(tmp_path, outcome, reason, sound):
    row = dict.fromkeys(COLUMNS["crop"], "") | {"item": "a", "parent": "a"}
    row |= {"outcome": outcome, "reason": reason}
    whole, streamed = tmp_path / "whole.csv", tmp_path / "streamed.csv"
    if sound:
        tables.write_stage(whole, "crop", [row])
        with tables.streamed_table(streamed, "crop") as write:
            write(row)
        assert whole.read_bytes() == streamed.read_bytes()
        return
    with pytest.raises(tables.LedgerError, match="reasons"):
        tables.write_stage(whole, "crop", [row])
    with (
        pytest.raises(tables.LedgerError, match="reasons"),
        tables.streamed_table(streamed, "crop") as write,
    ):
        write(row)
    assert not whole.exists() and not streamed.exists()
