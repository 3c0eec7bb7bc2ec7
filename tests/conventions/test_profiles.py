"""The profiles: every key one that Snakemake knows, every rule that they name there."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
RULE_NAMES = set(re.findall(r"^(?:rule|checkpoint) (\w+):", RULES, re.MULTILINE))
TOKENS = set(re.findall(r"^ {8}(gpu|nvdec)=", RULES, re.MULTILINE))
#: Resources that the SLURM plugin turns into options of sbatch, and the workflow's own.
SLURM_RESOURCES = {"gpu", "nvdec", "gres", "mem_mb", "runtime", "slurm_partition", "slurm_account"}


def load(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


def rules_with(token: str) -> set[str]:
    """Rules whose `resources` name a token."""
    found = set()
    for block in re.split(r"^(?=rule )", RULES, flags=re.MULTILINE):
        if re.search(rf"^ {{8}}{token}=", block, re.MULTILINE):
            found.add(re.match(r"rule (\w+)", block)[1])
    return found


def test_the_profiles_are_those_that_are_documented():
    assert PROFILES == ["default", "gpu", "kubernetes", "slurm"]


def parse(profile: dict, folder: Path):
    """The options that Snakemake reads from a profile; SystemExit for one that it does not know.

    The executor is left out: its plugin is not among the pipeline's dependencies.
    """
    from snakemake.cli import get_argument_parser

    (folder / "config.yaml").write_text(
        yaml.safe_dump({key: value for key, value in profile.items() if key != "executor"})
    )
    return get_argument_parser([str(folder)]).parse_args([])


@pytest.mark.parametrize("name", PROFILES)
def test_snakemake_takes_every_key(name, tmp_path):
    profile = load(name)
    options = parse(profile, tmp_path)
    assert (options.resources or {}) == profile.get("resources", {})
    assert options.rerun_incomplete and options.keep_going
    assert set(options.set_resources or {}) == set(profile.get("set-resources", {}))


def test_a_key_that_snakemake_does_not_know_is_found(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse({"coers": 4}, tmp_path)
    assert "coers" in capsys.readouterr().err


@pytest.mark.parametrize("name", PROFILES)
def test_rules_that_are_named_exist(name):
    assert {"probe", "extract", "detect", "crop", "mask", "package"} <= RULE_NAMES
    assert load(name).get("set-resources", {}).keys() <= RULE_NAMES


def test_the_tokens_have_a_limit_where_the_workflow_cannot_know_one():
    """On one machine it asks the driver; a cluster's cards are not those of its login node."""
    assert {"gpu", "nvdec"} == TOKENS
    assert all(load("slurm")["resources"][token] >= 1 for token in TOKENS)


def test_slurm_gives_gpus_to_the_rules_that_use_them():
    """Login nodes have none, so the rules' own figures, 0 there, must be replaced."""
    profile = load("slurm")
    given = profile["set-resources"]
    # A captioner runs on the CPU; with caption.device: cuda the rule itself asks for a card.
    assert {rule for rule in given if given[rule].get("gpu")} == rules_with("gpu") - {"caption"}
    assert {rule for rule in given if given[rule].get("nvdec")} == rules_with("nvdec")
    assert all(given[rule]["gres"] for rule in rules_with("nvdec"))
    named = set(profile["default-resources"]).union(*given.values())
    assert named <= SLURM_RESOURCES


def test_slurm_leaves_room_for_the_decoders_own_limits():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    given = load("slurm")["set-resources"]
    for rule in ("probe", "extract"):
        assert given[rule]["mem_mb"] > config[rule]["memory_mb"]


def test_the_kubernetes_job_asks_for_what_its_profile_hands_out():
    profile = load("kubernetes")
    job = yaml.safe_load((ROOT / "profiles/kubernetes/job.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["args"] == ["--workflow-profile", "kubernetes"]
    assert container["resources"]["requests"]["cpu"] == profile["cores"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == profile["resources"]["gpu"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"WORKDIR {mounts['data']}\n" in dockerfile
    assert f'VOLUME ["{mounts["data"]}"]' in dockerfile
    assert f"--uid {pod['securityContext']['runAsUser']} " in dockerfile
