"""Where tables lie is said once, and every stage that has columns has its place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from ferrari.ledger import stages
from ferrari.ledger.columns import COLUMNS
from ferrari.provenance import trace_facts
from tests.source import parsed

ROOT = Path(__file__).parents[3]


def test_every_stage_with_columns_is_in_the_order_of_flow():
    assert list(COLUMNS) == list(stages.ORDER)
    assert [stage for stage in stages.ORDER if stage in stages.FOLDERS] == list(stages.FOLDERS)


def test_every_stage_of_a_clip_has_words_and_stands_in_the_order_of_flow():
    assert [stage for stage in stages.WORDS if stage in stages.FOLDERS] == list(stages.FOLDERS)
    numbers = [words.number for words in stages.WORDS.values()]
    assert numbers == sorted(numbers)


def test_a_trace_knows_what_to_say_of_each_stage_that_has_words():
    assert list(trace_facts._FACTS) == list(stages.WORDS)


def test_a_clips_table_is_named_after_it():
    table = stages.table("caption", "a-0123456789")
    assert table == "05_final_training/captions/a-0123456789.csv"


def test_no_other_module_says_where_things_lie():
    names = "00_raw_videos|01_extracted_frames|02_yolo_crops|03_masked_subjects|04_augmented"
    names += "|05_final_training|bad_videos|bad_frames|subject/detections"
    said = re.compile(rf"(?:(?:{names})(?:/.*)?|environments(_pinned)?\\.csv)", re.S)
    places = {"stages.py", "refused_files.py"}
    found = [
        f"{path.name}:{node.lineno} {node.value}"
        for path in (ROOT / "scripts").rglob("*.py")
        if path.name not in places
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if said.fullmatch(node.value)
    ]
    assert found == []
    rules = [path.read_text() for path in (ROOT / "rules").glob("*.smk")]
    assert not [text for text in rules if re.search(rf'"({names})"', text)]
