"""What Snakemake says around an error of the workflow is left out; all else is said."""

from __future__ import annotations

from ferrari.jobs import engine_words

REFUSED = """\
Using workflow specific profile /here/profiles/default for setting default command line arguments.
Config file /cache/config.yaml is extended by additional config specified via the command line.
WorkflowError in file "/here/rules/common.smk", line 437:
detect.weights: there is no file or folder at /none. Put it there
WHAT TO DO: mount it
  File "/here/rules/common.smk", line 488, in <module>
  File "/here/rules/common.smk", line 491, in <listcomp>

"""
DEFECT = """\
KeyError in file "/here/rules/common.smk", line 437:
'walk'
  File "/here/rules/common.smk", line 488, in <module>"""


def test_a_refusal_is_its_message():
    said = engine_words.for_people(REFUSED).splitlines()
    assert said == [
        "detect.weights: there is no file or folder at /none. Put it there",
        "WHAT TO DO: mount it",
    ]


def test_of_a_failed_job_the_end_of_the_run_says_it_all():
    said = """Cannot restore dataset/videos/a.csv: no backup found.
Exiting because a job execution failed. Look above for error messages
WorkflowError:
At least one job did not complete successfully.
dataset/videos/b.csv is removed: its job failed"""
    assert engine_words.for_people(said) == "dataset/videos/b.csv is removed: its job failed"


def test_a_defect_is_told_with_the_way_to_it():
    assert engine_words.for_people(DEFECT) == DEFECT
