"""A person's caption in a run: the clip's caption job and what follows, and the ledger says so."""

from __future__ import annotations

import csv
import json
import re

import pytest

from ferrari.captions import overrides
from ferrari.ledger import tables
from ferrari.reports import checks
from tests.workflow import small_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def done_by(run, output: str) -> dict[str, list[str]]:
    """The jobs of a run's output: the clips, or an empty text, by rule."""
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", output, re.M)
    found: dict[str, list[str]] = {}
    for rule, text in blocks:
        video = re.search(r"wildcards: video=(\S+)", text)
        found.setdefault(rule, []).append(video[1] if video else "")
    return found


def test_one_edit_remakes_one_clips_captions_and_what_follows(tmp_path):
    run = small_run.start(tmp_path)
    run.run("--cores", "2")
    final = tables.read_stage(tmp_path / small_run.FINAL, "final")
    line, before = final[0], run.digests()
    caption = f"sks person, laughing, {line['background']}"
    table = run.dataset / overrides.PLACE
    table.parent.mkdir()
    with open(table, "w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item", "caption", "note"])
        writer.writerow([line["item"], caption, "she laughs"])
        writer.writerow([line["item"][:-1] + "99", caption, "there is no such image"])
    done = done_by(run, run.run("--cores", "2"))
    assert done["caption"] == [line["video"]]
    assert not {"probe", "extract", "crop", "mask", "augment"} & set(done)
    assert {"select_final", "package", "qc7", "ledger"} <= set(done)

    rows = tables.read_stage(
        run.dataset / f"05_final_training/captions/{line['video']}.csv", "caption"
    )
    by_hand = [row for row in rows if row["caption_source"] == "override"]
    assert [row["item"] for row in by_hand] == [line["item"]]
    assert by_hand[0]["replaced_caption"] == line["caption"]
    metadata = run.dataset / "05_final_training/imagefolder/train/metadata.jsonl"
    assert caption in {value for text in metadata.open() for value in json.loads(text).values()}
    found = {c.name: c for c in checks.read(tmp_path / "qc_reports/qc7_final_summary.csv")}
    assert found["overrides_have_images"].rows == (line["item"][:-1] + "99",)
    assert found["overrides_within_the_rules"].status == checks.PASS
    changed = {path for path, digest in run.digests().items() if before.get(path) != digest}
    assert changed and not [path for path in changed if path.startswith("04_augmented")]
    run.run("--cores", "2", "verified")

    table.unlink()
    run.run("--cores", "2")
    assert run.digests() == before
