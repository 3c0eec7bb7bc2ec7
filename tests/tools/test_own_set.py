"""`make new` and `make plan`: a set of one's own, and what a run of it would do, in words."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from ferrari.common import settings
from ferrari.jobs import snakemake_command
from ferrari.ledger import item_ids, job_costs
from ferrari.ledger.clips_waiting import ClipsWaiting
from ferrari.ledger.shards import Shard
from ferrari.networks import weight_files
from ferrari.provenance.last_run import LastRun
from ferrari.review import writing
from scripts.tools import doctor, get_weights, new_set, plan_run, smoke, tidy
from tests.settings import ROOT
from tests.tools.stand_in import begun_run
from tests.unit.review import rows

STATS = """Job stats:
job        count
-------  -------
all            1
mask           3
probe          1
qc0            1
total          6

Reasons: none
"""


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / 'my "clips"'
    folder.mkdir()
    for name in ("a.mp4", "b.mov", ".DS_Store"):
        (folder / name).touch()
    return folder


def test_new_writes_settings_that_are_valid_and_says_what_to_do(clips, tmp_path, capsys):
    work = tmp_path / "set"
    assert new_set.main([str(work), "--clips", str(clips), "--token", "ohwx"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("2 files in ") and f'make run WORK="{work}"' in told
    assert "will call the subject 'ohwx person': no CLASS was given" in told
    config = settings.load(work / "my.yaml")
    settings.check(config, ROOT / "config/config.schema.yaml")
    assert (config["raw_videos"], config["subject"]["token"]) == (str(clips), "ohwx")
    named = yaml.safe_load((work / "my.yaml").read_text())
    del named["raw_videos"], named["subject"]["token"]
    defaults = settings.load()
    assert all(named[part] == {k: defaults[part][k] for k in named[part]} for part in named)


def own_files(schema, above=()):
    """The settings of a schema, as paths of keys, that name a file or folder of a person's own."""
    for key, below in schema.get("properties", {}).items():
        if below.get("type") == "object":
            yield from own_files(below, (*above, key))
        elif re.search(r"\b(file|folder|path)\b", below.get("description", "")):
            yield (*above, key)


def test_new_names_each_setting_that_takes_files_of_ones_own(clips, tmp_path):
    """The first that many ask for, `detect.weights`, was not there."""
    assert new_set.main([str(tmp_path / "set"), "--clips", str(clips)]) == 0
    written = yaml.safe_load((tmp_path / "set/my.yaml").read_text())
    wanted = list(own_files(yaml.safe_load((ROOT / "config/config.schema.yaml").read_text())))
    assert ("detect", "weights") in wanted and ("augment", "environment_folder") in wanted
    for *above, key in wanted:
        section = written.get(above[0], {}) if above else written
        assert key in section, f"{'.'.join([*above, key])} is not in my.yaml"


def test_new_counts_files_that_are_no_clips_apart(clips, tmp_path, capsys):
    (clips / "notes.txt").write_text("Take one\n")
    assert new_set.main([str(tmp_path / "set"), "--clips", str(clips)]) == 0
    told = capsys.readouterr().out
    assert f"2 files in {clips} may be clips. Other files, no clips: 1 text: notes.txt.\n" in told


def test_new_says_what_is_missing_where_no_file_may_be_a_clip(clips, tmp_path, capsys):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/notes.txt").write_text("Take one\n")
    assert new_set.main([str(tmp_path / "set"), "--clips", str(tmp_path / "texts")]) == 0
    first = f"put your clips into {tmp_path / 'texts'}, and "
    assert f"then       {first}make plan WORK=" in capsys.readouterr().out
    assert new_set.main([str(tmp_path / "other"), "--clips", str(clips)]) == 0
    assert "then       make plan WORK=" in capsys.readouterr().out
    file = tmp_path / "texts/notes.txt"
    assert new_set.main([str(tmp_path / "third"), "--clips", str(file)]) != 0
    assert f"{file} is a file: name the folder" in capsys.readouterr().err


def test_words_for_the_subject_that_nobody_chose_are_said(clips, tmp_path, capsys):
    assert new_set.main([str(tmp_path / "a"), "--clips", str(clips)]) == 0
    told = capsys.readouterr().out
    assert "call the subject 'sks person': no TOKEN and no CLASS was given. Change it" in told
    chosen = ["--token", "ohwx", "--class", "man"]
    assert new_set.main([str(tmp_path / "b"), "--clips", str(clips), *chosen]) == 0
    assert "Captions will call the subject 'ohwx man'.\n" in capsys.readouterr().out
    given = settings.load()["subject"]
    assert (given["token"], given["class"]) == (new_set.TOKEN, new_set.CLASS)


def test_a_folder_whose_name_is_no_utf_8_makes_settings_that_can_be_read(tmp_path):
    clips = tmp_path / os.fsdecode(b"caf\xe9")
    clips.mkdir()
    assert new_set.main([str(tmp_path / "a"), "--clips", str(clips)]) == 0
    (tmp_path / "a/my.yaml").read_text("utf-8")
    assert Path(settings.load(tmp_path / "a/my.yaml")["raw_videos"]).is_dir()


def made_new(work, **words):
    """`make new` as a person types it."""
    return subprocess.run(
        [
            *("make", "--no-print-directory", "-o", ".venv/.ready", "new", f"WORK={work}"),
            *(f"{name}={word}" for name, word in words.items()),
        ],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": False},
    )


def test_make_hands_on_each_word_of_a_new_set_as_it_is(tmp_path):
    """A quote, a dollar or a semicolon in a word is no command to the shell or to make."""
    spoilt = tmp_path / "spoilt"
    clips = tmp_path / "it's \"; $HOME; $(HOME) #"
    clips.mkdir()
    done = made_new(tmp_path / "set", CLIPS=clips, REFERENCES=clips, TOKEN="oh-1", CLASS="tall man")
    assert (done.returncode, done.stderr) == (0, "")
    config = settings.load(tmp_path / "set/my.yaml")
    assert config["raw_videos"] == config["subject"]["references"] == str(clips)
    assert (config["subject"]["token"], config["subject"]["class"]) == ("oh-1", "tall man")
    word = f'o"; touch {spoilt}; $(shell touch {spoilt}) #'
    done = made_new(tmp_path / "other", CLIPS=clips, TOKEN=word, CLASS="it's $HOME")
    assert f"subject.token: {word!r} does not" in done.stderr
    assert 'subject.class: "it\'s $HOME" does not' in done.stderr
    assert not spoilt.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--token", "my man"], "subject.token: 'my man' does not match"),
        (["--token", "1st"], "one word of ASCII letters, digits and hyphens"),
        (["--class", "Frau Müller"], "subject.class: 'Frau Müller' does not match"),
    ],
)
def test_new_refuses_a_word_that_a_plan_would_refuse(clips, tmp_path, capsys, words, said):
    """It wrote the word into the settings, and the next command refused them."""
    assert new_set.main([str(tmp_path / "a"), "--clips", str(clips), *words]) == 2
    told = capsys.readouterr().err
    assert said in told and "TOKEN= is subject.token, CLASS= is subject.class" in told
    assert not (tmp_path / "a").exists()


def test_new_refuses_what_it_would_spoil(clips, tmp_path, capsys):
    work = tmp_path / "set"
    new_set.main([str(work), "--clips", str(clips)])
    before = (work / "my.yaml").read_bytes()
    assert new_set.main([str(work), "--clips", str(clips), "--token", "other"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert (work / "my.yaml").read_bytes() == before
    assert new_set.main([str(ROOT / "sets"), "--clips", str(clips)]) == 2
    assert "the pipeline's own folder" in capsys.readouterr().err
    for among in (clips, clips / "set"):
        assert new_set.main([str(among), "--clips", str(clips)]) == 2
        assert "lies in the folder of the clips" in capsys.readouterr().err
        assert not (among / "my.yaml").exists()
    assert new_set.main([str(tmp_path / "b"), "--clips", str(tmp_path / "none")]) == 2
    assert "CLIPS=" in capsys.readouterr().err and not (tmp_path / "b").exists()
    for given, missing in (
        (["", "--clips", str(clips)], "WORK="),
        ([str(work), "--clips", ""], "CLIPS="),
    ):
        assert new_set.main(given) == 2, "make hands on an empty word for what was not said"
        assert capsys.readouterr().err.startswith(f"{missing} is missing")


def test_new_says_whether_pictures_of_the_subject_were_found(clips, tmp_path, capsys):
    pictures = tmp_path / "anna"
    missing = [str(tmp_path / "a"), "--clips", str(clips), "--references", str(pictures)]
    assert new_set.main(missing) == 2
    assert "REFERENCES=" in capsys.readouterr().err and not (tmp_path / "a").exists()
    pictures.mkdir()
    (pictures / "one.jpg").touch()
    assert new_set.main(missing) == 0
    assert f"who the subject is: 1 in {pictures}" in capsys.readouterr().out
    assert settings.load(tmp_path / "a/my.yaml")["subject"]["references"] == str(pictures)
    assert new_set.main([str(tmp_path / "b"), "--clips", str(clips)]) == 0
    assert f"No pictures of the subject are in {tmp_path / 'b/references'}" in (
        capsys.readouterr().out
    )


def test_a_plan_adds_up_what_was_measured(tmp_path):
    for name, seconds in (
        ("mask/a", 10),
        ("mask/b", 30),
        ("mask/c", 20),
        ("probe/a", 2),
        ("caption/a", 0.03),
        ("qc3", 4),
        ("fetch_weights/yolo-best.pt", 8),
    ):
        path = tmp_path / f"benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\n{seconds}\t0\n")
    known = job_costs.known(tmp_path)
    jobs = snakemake_command.planned(STATS)
    assert known == {"mask": 20, "probe": 2, "caption": 0.03, "qc3": 4, "fetch_weights": 8}
    assert jobs == {"mask": 3, "probe": 1, "qc0": 1}
    footage = plan_run.Footage(7, 400_000_000, 200, 7, dataset_bytes=55_000_000)
    waiting = ClipsWaiting(new=frozenset({"a"}))
    text = plan_run.told(jobs, known, 2, footage, waiting=waiting)
    assert text.startswith("7 files may be clips, 400 MB, 3 min 20 s of footage.\n")
    assert "About 55 MB more on the disk" in text
    assert "To do: new clips: 1. Jobs: probe 1, mask 3, other 1." in text
    assert "At least 31 s here on 2 cores" in text and "Not measured yet: QC0: Raw videos." in text


def test_a_plan_goes_by_the_clip_that_was_tried_where_nothing_else_is_known(
    tmp_path, monkeypatch, capsys
):
    assert smoke.FOLDER == plan_run.SMOKE
    cost = tmp_path / "smoke/benchmarks/mask/a.tsv"
    cost.parent.mkdir(parents=True)
    cost.write_text("s\th:m:s\n20\t0\n")
    raw = tmp_path / "dataset/00_raw_videos"
    raw.mkdir(parents=True)
    (raw / "walk.mp4").write_bytes(b"a clip")
    done = subprocess.CompletedProcess([], 0, STATS, "")
    monkeypatch.setattr(plan_run.subprocess, "run", lambda *_, **__: done)
    assert plan_run.main(["--work", str(tmp_path), "--cores", "2"]) == 0
    told = capsys.readouterr().out
    assert "At least 30 s here on 2 cores, from the clip of make smoke, which may be" in told
    for rule in ("probe", "mask"):  # of a run that was stopped: it hid what make smoke knew
        own = tmp_path / f"benchmarks/{rule}/b.tsv"
        own.parent.mkdir(parents=True)
        own.write_text("s\th:m:s\n4\t0\n")
        assert plan_run.main(["--work", str(tmp_path), "--cores", "2"]) == 0
        told = capsys.readouterr().out
        seconds, source = {
            "probe": (32, "the jobs measured so far and the clip of make smoke, which may be"),
            "mask": (8, "the jobs measured so far; less where"),
        }[rule]
        assert f"At least {seconds} s here on 2 cores, from {source}" in told


def test_a_plan_says_what_waits_besides_new_clips():
    """After a run that failed it said `new or changed clips: 0`, and of decisions nothing."""
    waiting = ClipsWaiting(
        new=frozenset("a"), begun=frozenset("bcd"), others={"e": "text"}, new_others=frozenset("e")
    )
    text = plan_run.told(
        {"probe": 5, "mask": 4},
        {},
        2,
        plan_run.Footage(4, 9, 9, 3),
        waiting=waiting,
        decided="3 jobs, of 1 clip",
    )
    assert (
        "To do: new clips: 1; clips that are looked at again, since they or what looks at them "
        "changed: 3; clips that were begun and not finished: 3; other files, which get a row: 1; "
        "your decisions: 3 jobs, of 1 clip. Jobs: probe 5, mask 4"
    ) in text


def test_decisions_since_the_last_run_are_counted(tmp_path):
    """Of jobs that run for other reasons too Snakemake does not say that a decision is one."""
    whens = ("2026-01-31T18:05:00Z", "2026-02-01T08:00:00Z", "2026-02-01T08:00:01Z")
    writing.append(tmp_path, [rows.decided("drop", when=when) for when in whens])
    run = LastRun(tmp_path, {}, (), False, "2026-02-01T08:00:00+00:00")
    assert plan_run._decisions_since(tmp_path, run) == 1
    assert plan_run._decisions_since(tmp_path, None) == 3


def test_a_plan_says_that_weights_are_fetched():
    text = plan_run.told({"fetch_weights": 4}, {}, 2, plan_run.Footage(3, 9, 9, 3))
    assert "Fetched first: 4 files of networks' weights" in text and "make weights" in text


def test_a_plan_is_about_right_where_all_was_measured():
    text = plan_run.told({"mask": 3}, {"mask": 20}, 2, plan_run.Footage(3, 9, 9, 3))
    assert "About 30 s here on 2 cores" in text and "Not measured" not in text


def test_a_plan_after_a_run_that_was_stopped_early_says_that_it_knows_little():
    """It said "At least 0 s here", of 20 minutes."""
    jobs, footage = {"probe": 1, "extract": 9, "mask": 9, "qc0": 1}, plan_run.Footage(9, 9, 9, 3)
    text = plan_run.told(jobs, {"probe": 0.4}, 2, footage)
    assert "Most of this was never measured here: make smoke" in text and " 0 s" not in text
    assert "Not measured yet: " in text
    text = plan_run.told(jobs, {"probe": 0.4, "extract": 9, "mask": 9}, 2, footage)
    assert "At least 1 min 21 s here" in text
    assert "About a second here" in plan_run.told({"qc0": 1}, {"qc0": 0.3}, 2, footage)
    text = plan_run.told({"qc0": 1, "qc3": 1}, {"qc0": 0.3}, 2, footage)
    assert "Most of this was never" in text, "no word of seconds where a report was not measured"


def test_a_plan_says_where_nothing_is_known_or_to_be_done():
    new = plan_run.Footage(7, 10**10, 0, 0)
    text = plan_run.told({"probe": 7}, {}, 2, new)
    assert "make smoke" in text and "7 files may be clips, 10.0 GB; how long they are" in text
    assert "To do: nothing" in plan_run.told(
        snakemake_command.planned("Nothing to be done"), {}, 2, new
    )
    some = str(plan_run.Footage(10, 0, 60, 5))
    assert "Gone" not in some
    gone = str(plan_run.Footage(6, 0, 60, 6, gone=("a.mp4", "b.mp4", "c.mp4", "d\n.mp4")))
    assert gone.endswith(" Gone since the last run: 4 (a.mp4, b.mp4, c.mp4 and 1 more).")
    others = str(plan_run.Footage(6, 0, 60, 6, others="1 text: notes.txt"))
    assert others.endswith(" Other files, no clips: 1 text: notes.txt.")
    assert some.endswith("1 min 00 s of footage in 5 of them, about 2 min 00 s in all.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("", "names no setting"),
        ("# seed: 2\n", "names no setting"),
        ("extract:\n\tfps: 3\n", "line 2 is no YAML"),
        ("extract:\n\tfps: 3\n", "indent with spaces, not with tabs"),
        ("extract: {fps: 3]\n", "line 1 is no YAML: expected ',' or '}'"),
        (
            "seed: 1\n".encode("utf-16"),
            "is UTF-16, not UTF-8",
        ),
        ("subject: {token: café}\n".encode("latin-1"), "save it as UTF-8"),
        ("seed: 1\0\n", "holds a control character (character 8, U+0000): take it out"),
    ],
)
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path, capsys, text, said):
    file = tmp_path / "own.yaml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert plan_run.main(["--work", str(tmp_path), "--config", str(file)]) == 2
    told = capsys.readouterr().err
    assert f"the settings file {file}" in told and said in told


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("clip", "/clip does not exist: put your clips there, or point the setting raw_videos"),
        ("clip", "/clips?"),
        ("empty", "/empty holds no files: put your clips there"),
        ("system", "/system holds no clip: all in it are files of the system"),
        ("texts", "/texts holds 1 file, and none is a video (1 text: notes.txt): put your clips"),
    ],
)
@pytest.mark.parametrize("words", [[], ["--run"]])
def test_a_run_or_plan_without_clips_is_one_sentence(
    tmp_path, monkeypatch, capsys, raw, said, words
):
    for name in ("clips", "empty", "system", "texts"):
        (tmp_path / name).mkdir()
    (tmp_path / "system/.DS_Store").touch()
    (tmp_path / "texts/notes.txt").write_text("Take one\n")
    file = tmp_path / "own.yaml"
    file.write_text(f"raw_videos: {tmp_path / raw}\n")
    monkeypatch.setattr(plan_run.subprocess, "run", None)  # Snakemake is not asked
    monkeypatch.setattr(plan_run.run_watch.Watch, "run", None)
    assert plan_run.main([*words, "--work", str(tmp_path), "--config", str(file)]) == 2
    out, err = capsys.readouterr()
    told = err.splitlines()
    assert said in told[-1] and len([line for line in told if "raw clips" in line]) == 1
    assert out == "", "no list of jobs for a run that would not begin"
    assert not list(tmp_path.glob("logs/*")), "no job began"


def test_a_plan_of_a_shard_counts_no_clips_of_other_machines(tmp_path, monkeypatch, capsys):
    """All clips that another machine was at work on were told as begun, and to do here."""
    clips, tables = tmp_path / "clips", tmp_path / "dataset/videos"
    for folder in (clips, tables):
        folder.mkdir(parents=True)
    names = [f"{number}.mp4" for number in range(8)]
    for name in names:
        (clips / name).touch()
        (tables / f"{item_ids.video_id(name)}.csv").touch()
    own = Shard.of("1/2").clips(map(item_ids.video_id, names), {})
    (tmp_path / "my.yaml").write_text(f"raw_videos: {clips}\nshard: 1/2\n")
    stats = f"Job stats:\njob    count\n----  -----\nmask  {len(own)}\ntotal  {len(own)}\n\n"
    asked = subprocess.CompletedProcess([], 0, stats, "")
    monkeypatch.setattr(plan_run.subprocess, "run", lambda *_, **__: asked)
    assert plan_run.main(["--work", str(tmp_path), "--cores", "1"]) == 0
    assert 0 < len(own) < 8
    assert f"begun and not finished: {len(own)}. Jobs: mask {len(own)}" in capsys.readouterr().out


def test_a_plan_says_what_else_is_not_as_it_was(clips, tmp_path, monkeypatch, capsys):
    """Pictures of the subject that changed, and a format that is asked for no more."""
    (tmp_path / "my.yaml").write_text(
        f"raw_videos: {json.dumps(str(clips))}\npackage: {{formats: [kohya]}}\n"
    )
    references = tmp_path / "references"
    references.mkdir()
    (references / "me.jpg").write_bytes(b"me")
    subject = tmp_path / "dataset/subject"
    subject.mkdir(parents=True)
    (subject / "references.csv").write_text("setting,file,sha256\n")
    monkeypatch.setattr(plan_run.older_packages, "not_asked_for", lambda *_: ["imagefolder: old"])
    nothing = subprocess.CompletedProcess([], 0, "Nothing to be done", "")
    monkeypatch.setattr(plan_run.subprocess, "run", lambda *_, **__: nothing)
    assert plan_run.main(["--work", str(tmp_path), "--cores", "1"]) == 0
    told = capsys.readouterr().out
    assert "since the last run: 1 new (me.jpg)" in told and "\nimagefolder: old\n" in told


def test_a_plan_that_was_killed_says_so(clips, tmp_path, monkeypatch, capsys):
    (tmp_path / "my.yaml").write_text(f"raw_videos: {json.dumps(str(clips))}\n")
    killed = subprocess.CompletedProcess([], -signal.SIGKILL, "", "")
    monkeypatch.setattr(plan_run.subprocess, "run", lambda *_, **__: killed)
    assert plan_run.main(["--work", str(tmp_path), "--cores", "1"]) == -signal.SIGKILL
    assert "WHAT TO DO: the run itself was killed" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--run"]])
def test_a_folder_of_shared_weights_that_is_none_is_told(tmp_path, monkeypatch, capsys, words):
    monkeypatch.setenv(weight_files.GIVEN, str(tmp_path / "none"))
    plan_run.main(["--work", str(tmp_path), "--cores", "1", *words])
    told = capsys.readouterr().err
    assert told.count(f"FERRARI_WEIGHTS: there is no folder {tmp_path / 'none'}") == 1


@pytest.mark.parametrize("words", [[], ["--run"]])
def test_a_typo_in_the_settings_is_told_without_a_run(tmp_path, capsys, words):
    (tmp_path / "my.yaml").write_text("detect: {confidense: 0.5}\n")
    assert plan_run.main(["--work", str(tmp_path), "--cores", "1", *words]) == 2
    assert "did you mean confidence?" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["my.yaml"], "nothing was begun"


def refuse_writing(monkeypatch, number):
    """As a disk that is read-only, or full, does; root may write into any folder."""

    def refused(folder):
        raise OSError(number, os.strerror(number), str(folder))

    monkeypatch.setattr(plan_run.error_advice, "require_writable", refused)


@pytest.mark.parametrize("words", [[], ["--run"]])
@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EROFS, "is read-only: mount it writable"), (errno.ENOSPC, "is full (")],
)
def test_a_folder_that_takes_nothing_is_told_before_anything_begins(
    tmp_path, monkeypatch, capsys, words, number, said
):
    refuse_writing(monkeypatch, number)
    assert plan_run.main(["--work", str(tmp_path), "--cores", "1", *words]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert told.startswith("no run is recorded") and str(tmp_path) in told
    assert "WHAT TO DO: " in told and said in told and "Errno" not in told


@pytest.mark.parametrize("place", ["set", "set/dataset", "set/qc_reports"])
def test_a_file_where_a_folder_should_be_is_named(tmp_path, capsys, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).touch()
    assert plan_run.main(["--work", str(tmp_path / "set"), "--cores", "1", "--run"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"{tmp_path / place}" in told and "is a file: rename the file" in told


@pytest.mark.parametrize("tool", [plan_run, doctor, get_weights, smoke])
def test_a_set_that_is_not_there_is_named(tmp_path, capsys, tool):
    """Weights were fetched into it, a clip was run in it."""
    assert tool.main(["--work", str(tmp_path / "none")]) in (1, 2)
    assert not (tmp_path / "none").exists()
    assert f"there is no folder {tmp_path / 'none'}: make new begins a set" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("tool", [new_set, plan_run, tidy])
def test_clips_on_a_mount_whose_other_side_went_away(tmp_path, monkeypatch, capsys, tool):
    clips = tmp_path / "clips"
    clips.mkdir()
    (tmp_path / "my.yaml").write_text(f"raw_videos: {clips}\n")
    stat = os.stat

    def gone(path, *args, **options):
        if str(path) == str(clips):
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", gone)
    words = ["--work", str(tmp_path)]
    if tool is new_set:
        words = [str(tmp_path / "set"), "--clips", str(clips)]
    if tool is plan_run:
        words += ["--run", "--cores", "1"]
    assert tool.main(words) in (1, 2)
    told = " ".join(capsys.readouterr().err.split())
    assert f"holds '{clips}' fails: is it mounted" in told and "Errno" not in told


def test_on_a_full_disk_new_leaves_no_settings_and_names_their_place(
    clips, tmp_path, monkeypatch, capsys
):
    """An empty my.yaml was left, which the next try took for settings that are there already."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    work = tmp_path / "set"
    assert new_set.main([str(work), "--clips", str(clips)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert f"holds '{work}/my.yaml" in told and "is full (" in told
    assert list(work.iterdir()) == []


def test_new_says_what_to_do_where_nothing_can_be_written(clips, tmp_path, capsys):
    (tmp_path / "a file").touch()
    assert new_set.main([str(tmp_path / "a file/set"), "--clips", str(clips)]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "is a file: rename the file, or name another folder" in told and "Errno" not in told


def test_ctrl_c_leaves_a_run_the_time_to_end(tmp_path):
    """Terminals interrupt the whole group; whoever waits for Snakemake must not kill it then. What
    it says while it ends is nothing that anybody has to do something about.
    """
    run = begun_run(
        tmp_path,
        "import sys, time\n"
        "try:\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(1)\n"
        "    print('ended', file=open('ended', 'w'), flush=True)\n"
        "    print('Traceback')\n"
        "    sys.exit(3)\n",
        start_new_session=True,
    )
    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    *before, last = said.splitlines()
    assert (last, run.returncode) == ("stopped; run the same command to go on", 130)
    assert all("stopping: jobs that are at work end first" in line for line in before), said
    assert (tmp_path / "ended").read_text() == "ended\n"
