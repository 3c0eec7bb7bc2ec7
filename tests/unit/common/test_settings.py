"""The configuration: defaults valid, every key known, faults explained before any job."""

import copy
from pathlib import Path

import pytest
import yaml

from ferrari.common import settings

CONFIG = Path(__file__).parents[3] / "config"
SCHEMA = CONFIG / "config.schema.yaml"
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text())


def merged(overlay, base=None):
    base = copy.deepcopy(DEFAULTS if base is None else base)
    for key, value in overlay.items():
        base[key] = merged(value, base.get(key, {})) if isinstance(value, dict) else value
    return base


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml", "registry-only.yaml"])
def test_what_we_ship_is_valid(name):
    settings.check(merged(yaml.safe_load((CONFIG / name).read_text())), SCHEMA)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"detect": {"confidense": 0.5}}, r"'detect.confidense' was unexpected; did you mean conf"),
        ({"detekt": {}}, r"'detekt' was unexpected; did you mean detect\?"),
        ({"extract": {"fps": -1}}, r"extract\.fps: -1 is less than .*samples per second"),
        ({"extract": {"decoder": "gpu"}}, r"extract\.decoder: 'gpu' is not one of"),
        ({"mask": {"segmenter": "isnett"}}, r"mask\.segmenter: 'isnett' .*; did you mean isnet\?"),
        ({"package": {"formats": ["imagefoldr"]}}, r"formats\.0: .*; did you mean imagefolder\?"),
        ({"augment": {"scale": [0, 1]}}, r"augment\.scale\.0: "),
        (
            {"augment": {"weights": dict.fromkeys(DEFAULTS["augment"]["weights"], 0)}},
            "at least one",
        ),
        ({"subject": {"token": "my token"}}, "subject.token"),
        ({"dataset": "~/sets/anna"}, r"dataset: .~/sets/anna. .*nothing but a shell reads"),
        ({"cache": "$HOME/kept"}, r"cache: .*nothing but a shell reads"),
    ],
)
def test_faults_name_their_place_and_what_was_meant(overlay, message):
    with pytest.raises(settings.SettingsError, match=message):
        settings.check(merged(overlay), SCHEMA)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ({"warm_workers": "false"}, {"warm_workers": False}),
        ({"warm_workers": "maybe"}, {"warm_workers": "maybe"}),
        ({"warm_workers": "[unfinished"}, {"warm_workers": "[unfinished"}),
        ({"mask": {"refine": "no", "batch": "8"}}, {"mask": {"refine": False, "batch": 8}}),
        ({"detect": {"confidence": "0.5"}}, {"detect": {"confidence": 0.5}}),
        ({"extract": {"max_frames": "null"}}, {"extract": {"max_frames": None}}),
        ({"subject": {"token": "12"}}, {"subject": {"token": "12"}}),
    ],
)
def test_text_from_the_command_line_is_read_as_in_a_file(text, meant):
    config = merged(text)
    settings.read_text(config, SCHEMA)
    assert config == merged(meant)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("subject:\n  token: a\nmask: {}\nsubject:\n  class: man\n", "subject is there twice"),
        ("mask:\n  refine: true\n  refine: false\n", "refine is there twice, in lines 2 and 3"),
        ('{"qc": {"thumbnails": 1, "thumbnails": 2}}', "thumbnails is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_an_error(tmp_path, text, told):
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(settings.SettingsError, match=told):
        settings.load(tmp_path / "my.yaml")


def test_one_key_in_several_sections_is_none(tmp_path):
    (tmp_path / "my.yaml").write_text("detect: {batch: 2}\nmask: {batch: 2}\n")
    assert settings.load(tmp_path / "my.yaml")["detect"]["batch"] == 2


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "marked"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["unix", "windows"])
def test_how_an_editor_ends_lines_and_begins_files_says_nothing(tmp_path, mark, end):
    text = mark + end.join(["subject:", "  token: ohwx", "seed: 5", ""])
    (tmp_path / "my.yaml").write_bytes(text.encode())
    config = settings.load(tmp_path / "my.yaml")
    assert (config["subject"]["token"], config["seed"]) == ("ohwx", 5)


def test_every_fault_is_listed_at_once():
    overlay = {"extract": {"fps": 0}, "mask": {"batch": 0}}
    with pytest.raises(settings.SettingsError) as caught:
        settings.check(merged(overlay), SCHEMA)
    assert "extract.fps" in str(caught.value) and "mask.batch" in str(caught.value)


def test_schema_and_defaults_name_the_same_keys():
    schema = yaml.safe_load(SCHEMA.read_text())

    def compare(defaults, properties, place):
        assert set(defaults) == set(properties), place
        for key, value in defaults.items():
            if isinstance(value, dict):
                assert set(properties[key].get("required", ())) == set(value), f"{place}.{key}"
                compare(value, properties[key]["properties"], f"{place}.{key}")

    compare(DEFAULTS, schema["properties"], "config")


def test_every_default_has_a_comment():
    lines = (CONFIG / "config.yaml").read_text().splitlines()
    keys = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    bare = [line for line in keys if not line.rstrip().endswith(":") and "#" not in line]
    obvious = {"flat", "noise", "environment", "synthetic", "batch", "device", "timeout_s"}
    obvious |= {"formats", "detect", "mask", "augment", "extract"}
    assert [line for line in bare if line.split(":")[0].strip() not in obvious] == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extract:\n  fps: 2,0\n", "samples per second); write 2.0 (my.yaml, line 2)"),
        ("extract: {fps: '2.5'}\n", "; write 2.5 (my.yaml, line 1)"),
        ("package:\n  resolution: 1024px\n", "; write 1024 (my.yaml, line 2)"),
        ("package:\n  resolution: '1,024'\n", "; write 1024 (my.yaml, line 2)"),
        ("package:\n  formats: kohya\n", "; write [kohya] (my.yaml, line 2)"),
        ("seed: 1\ndetect:\n  confidense: 0.5\n", "did you mean confidence? (my.yaml, line 3)"),
        ("package:\n  formats:\n  - kohya\n  - kohia\n", "did you mean kohya? (my.yaml, line 4)"),
        ("extract:\n  fps: many\n", "samples per second) (my.yaml, line 2)"),
    ],
)
def test_a_fault_names_the_file_and_its_line_and_what_to_write(tmp_path, monkeypatch, text, told):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(text)
    Path("over.yaml").write_text("# laid over it\nsubject: {class: man}\n")
    files = ["my.yaml", "over.yaml"]
    with pytest.raises(settings.SettingsError) as caught:
        settings.check(settings.load(*files), SCHEMA, files)
    (line,) = str(caught.value).splitlines()[1:]
    assert line.endswith(told)


def test_a_fault_of_the_command_line_is_not_laid_on_a_file(tmp_path):
    (tmp_path / "my.yaml").write_text("extract: {fps: 3}\n")
    config = settings.load(tmp_path / "my.yaml")
    config["extract"]["fps"] = -1
    with pytest.raises(settings.SettingsError) as caught:
        settings.check(config, SCHEMA, [tmp_path / "my.yaml"])
    assert "extract.fps: -1" in str(caught.value) and "my.yaml" not in str(caught.value)


@pytest.mark.parametrize("read", [settings.load, lambda file: settings.require_said_once([file])])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 1\nsubject: {token: café}\n".encode("latin-1"), ", line 2, is not UTF-8"),
        ("# für\r\nseed: 1\r\n".encode("cp1252"), ", line 1, is not UTF-8"),
        ("seed: 1\n".encode("utf-16"), " is UTF-16, not UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_told_with_its_line_whoever_reads_it(
    tmp_path, read, text, told
):
    file = tmp_path / "my.yaml"
    file.write_bytes(text)
    with pytest.raises(settings.SettingsError) as caught:
        read(file)
    assert f"the settings file {file}{told}" in str(caught.value)
    assert "save it as UTF-8" in str(caught.value)
