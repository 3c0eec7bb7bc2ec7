"""Where tables lie is said once, and every stage that has columns has its place."""

from __future__ import annotations

import re
from pathlib import Path

from ferrari.ledger import stages
from ferrari.ledger.columns import COLUMNS

ROOT = Path(__file__).parents[3]


def test_every_stage_with_columns_is_in_the_order_of_flow():
    assert list(COLUMNS) == list(stages.ORDER)
    assert [stage for stage in stages.ORDER if stage in stages.FOLDERS] == list(stages.FOLDERS)


def test_a_clips_table_is_named_after_it():
    table = stages.table("caption", "a-0123456789")
    assert table == "05_final_training/captions/a-0123456789.csv"


def test_no_other_module_says_where_the_tables_lie():
    said = re.compile(r'"(02_yolo_crops|03_masked_subjects|04_augmented)"')
    code = [*(ROOT / "scripts/ferrari").rglob("*.py"), *(ROOT / "rules").glob("*.smk")]
    assert [path.name for path in code if said.search(path.read_text())] == ["stages.py"]
