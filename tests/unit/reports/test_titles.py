"""What people call the jobs."""

import re

from ferrari.reports import titles
from tests.settings import ROOT


def test_the_jobs_of_each_rule_have_a_name_of_their_own():
    files = sorted((ROOT / "rules").glob("*.smk"))
    rules = [name for file in files for name in re.findall(r"^rule (\w+):", file.read_text(), re.M)]
    told = {rule: titles.of_rule(rule) for rule in rules}
    assert len(rules) > 25 and len(set(told.values())) == len(rules)
    assert not [rule for rule, title in told.items() if title == rule.replace("_", " ")]


def test_stages_reports_and_the_rest_are_called_as_their_pages_are():
    asked = ("mask", "qc5", "qc_identity", "select_final", "my_rule")
    assert [titles.of_rule(rule) for rule in asked] == [
        *("Cut-outs", "QC5: Cut-outs", "Identity: Who the subject is", "Selection", "my rule"),
    ]
