"""The profiles: every key one that Snakemake knows, every rule that they name there."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ferrari.ledger.shards import Shard

ROOT = Path(__file__).resolve().parents[2]
PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/config.yaml"))
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
RULE_NAMES = set(re.findall(r"^(?:rule|checkpoint) (\w+):", RULES, re.MULTILINE))
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
    said = [f"{rule}={group}" for rule, group in profile.get("groups", {}).items()]
    assert (options.groups or {}) == dict(pair.split("=") for pair in said)


def test_a_key_that_snakemake_does_not_know_is_found(tmp_path, capsys):
    with pytest.raises(SystemExit):
        parse({"coers": 4}, tmp_path)
    assert "coers" in capsys.readouterr().err


@pytest.mark.parametrize("name", PROFILES)
def test_rules_that_are_named_exist(name):
    assert {"probe", "extract", "detect", "crop", "mask", "package"} <= RULE_NAMES
    assert load(name).get("set-resources", {}).keys() <= RULE_NAMES


#: What is made once for all clips, after some of them and before the others.
BETWEEN = {"environments", "who"}
#: What no run asks for: somebody does who looks, on the machine where they sit.
ASKED_FOR = {"fetch_weights", "verify", "verified", "review_page"}


def grouped() -> dict[str, set[str]]:
    """The rules of each group of the profile for SLURM."""
    groups: dict[str, set[str]] = {}
    for rule, group in load("slurm")["groups"].items():
        groups.setdefault(group, set()).add(rule)
    return groups


def test_slurm_submits_every_rule_in_a_group_but_what_all_clips_wait_for():
    """A rule that is forgotten would be a submitted job for each clip, or end the run: a group may
    not depend on what depends on it.
    """
    assert grouped().keys() == {"look", "make", "end"}
    others = RULE_NAMES - set().union(*grouped().values())
    assert others == BETWEEN | ASKED_FOR
    assert {rule for rule in RULE_NAMES if " video" in of_clip(rule)} == (
        grouped()["look"] | grouped()["make"]
    )
    assert load("slurm")["group-components"].keys() == {"look", "make"}


def of_clip(rule: str) -> str:
    """' video' if a rule has a job a clip."""
    (block,) = (b for b in RULES.split("\nrule ") if b.startswith(f"{rule}:"))
    return " video" if 'log="logs/' in block and "{video}" in block else ""


def test_slurm_asks_for_one_card_for_all_clips_of_a_submitted_job():
    """As a number it would be added up over them; and it has to be the same in all rules of a
    group, or Snakemake refuses the group.
    """
    given = load("slurm")["set-resources"]
    of_clips = grouped()["look"] | grouped()["make"]
    assert rules_with("gpu") | rules_with("nvdec") <= of_clips
    assert {given[rule]["gres"] for rule in of_clips} == {"gpu:1"}
    assert not any("gres" in given.get(rule, {}) for rule in RULE_NAMES - of_clips)
    named = set(load("slurm")["default-resources"]).union(*given.values())
    assert named <= SLURM_RESOURCES - {"gpu", "nvdec"}


def test_slurm_tries_again_with_more_memory_and_time():
    profile = load("slurm")
    asked = [profile["default-resources"], *profile["set-resources"].values()]
    for resources in asked:
        for name in {"mem_mb", "runtime"} & resources.keys():
            assert re.fullmatch(r"\d+ \* attempt", resources[name])
    assert profile["retries"] >= 1


def test_slurm_leaves_room_for_the_decoders_own_limits():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    given = load("slurm")["set-resources"]
    for rule in ("probe", "extract"):
        assert int(given[rule]["mem_mb"].split()[0]) > config[rule]["memory_mb"]


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


KUBERNETES = ROOT / "profiles/kubernetes"


def pod_of(name: str) -> tuple[dict, dict]:
    """The spec of a Job, and that of its pod."""
    spec = yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text())["spec"]
    return spec, spec["template"]["spec"]


@pytest.mark.parametrize("name", ["pins", "shards"])
def test_the_pods_of_shards_are_those_of_the_whole_run_but_for_what_they_run(name):
    def asked_for(file):
        _, pod = pod_of(file)
        (container,) = pod.pop("containers")
        return pod, {key: container[key] for key in container.keys() - {"args", "command"}}

    assert asked_for(name) == asked_for("job")


def test_the_pins_are_made_by_the_target_of_that_name():
    _, pod = pod_of("pins")
    assert pod["containers"][0]["args"] == ["pins", "--workflow-profile", "kubernetes"]
    assert "\nrule pins:" in (ROOT / "Snakefile").read_text()


def test_each_pod_of_an_indexed_job_works_on_a_shard_of_its_own(tmp_path):
    """What the pods' shell makes of their numbers, for a `snakemake` that says what it gets."""
    spec, pod = pod_of("shards")
    assert spec["completionMode"] == "Indexed" and spec["parallelism"] <= spec["completions"]
    said = tmp_path / "snakemake"
    said.write_text('#!/bin/sh\necho "$@"\n')
    said.chmod(0o755)
    (container,) = pod["containers"]
    shards = []
    for index in range(spec["completions"]):
        done = subprocess.run(
            [*container["command"], *container["args"]],
            env={"JOB_COMPLETION_INDEX": str(index), "PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        options = done.stdout.split()
        assert options[:4] == [
            *("--snakefile", "/opt/ferrari/Snakefile", "--workflow-profile", "kubernetes")
        ]
        shards.append(Shard.of(options[-1].removeprefix("shard=")))
    assert shards == [Shard(number, len(shards)) for number in range(1, len(shards) + 1)]


SCHEMAS = ROOT / ".venv-services/bin/kubernetes-validate"


@pytest.mark.kubernetes
@pytest.mark.skipif(
    not SCHEMAS.is_file(), reason="no kubernetes-validate here: make test-kubernetes"
)
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_the_manifests_are_what_the_api_takes(version, tmp_path):
    """Held to the API's own schema, in which no other field than its own may stand."""
    manifests = sorted(KUBERNETES.glob("*.yaml"))
    manifests.remove(KUBERNETES / "config.yaml")
    assert len(manifests) == 3
    command = [SCHEMAS, "--strict", "-k", version]
    done = subprocess.run([*command, *manifests], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((KUBERNETES / "shards.yaml").read_text().replace("completions:", "complete:"))
    assert subprocess.run([*command, wrong], capture_output=True, check=False).returncode != 0
