"""A run's record as Workflow Run RO-Crate 0.5: JSON-LD of what ran, its inputs and its results.

https://w3id.org/ro/wfrun/workflow/0.5, on RO-Crate 1.1 and Workflow RO-Crate 1.0. The run's folder
is the crate: a snapshot of the workflow, the settings, the table of the raw clips as the run left
it, and the run's results (as hard links where possible).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ferrari.common.atomic_files import link_or_copy, sha256_file, write_bytes, write_text
from ferrari.common.places import ROOT

METADATA = "ro-crate-metadata.json"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
SNAPSHOT = "workflow"
#: Below the folder `audit`: the workflow's files of all runs, each once, by its digest.
CODE = "code"
#: What the workflow consists of: files and folders of the repository.
_PARTS = {"rules": "its rules", "scripts": "the scripts of its rules", "config": "its defaults"}
_STATUS = {
    "success": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
}
_FORMATS = {".csv": "text/csv", ".json": "application/json", ".yaml": "application/yaml"} | {
    ".parquet": "application/vnd.apache.parquet",
    ".log": "text/plain",
    ".md": "text/markdown",
}
_FORMAL = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"

_README = """\
# The record of a run

- `run.json`: when it began and ended, how, with which command, packages, machine, weights and code
- `config.yaml`: all settings
- `videos.csv`: the raw clips with their verdicts, as the run left them
- `workflow/`: the workflow as it was when the run ended
- `ro-crate-metadata.json`: all of it for machines (Workflow Run RO-Crate 0.5)
"""


def write(
    folder: Path, record: Mapping, about: Mapping, videos_csv: Path, results: Mapping[str, str]
) -> None:
    """Make a run's `folder` a crate, from its record (run.json) and settings (config.yaml).

    `results` are files that the run made: {path: what it is}; `about` is the settings' section.
    Raises OSError where it cannot be written.
    """
    _snapshot(folder / SNAPSHOT, folder.parent.parent / CODE)
    inputs = {"config.yaml": "the settings of the run, all of them"}
    if videos_csv.is_file():
        shutil.copyfile(videos_csv, folder / "videos.csv")
        inputs["videos.csv"] = "the raw clips: file, SHA-256, verdict"
    outputs = {"run.json": "the record of the run"}
    for path, text in results.items():
        name = Path(path).name
        if path.endswith(".parquet"):  # large, and replaced as a whole when it is made anew
            link_or_copy(path, folder / name)
        else:
            shutil.copyfile(path, folder / name)
        outputs[name] = text
    (folder / "README.md").write_text(_README)
    graph = list(_graph(folder, record, about, inputs, outputs))
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    write_text(folder / METADATA, text + "\n")


def _snapshot(target: Path, kept: Path) -> None:
    """The workflow's own files, as they are now. Each is hard-linked from the folder `kept`, where
    it lies once however many runs it was part of; copied where there are no links.
    """

    def take(source: str, copy: str) -> None:
        once = kept / sha256_file(source)
        if not once.is_file():
            write_bytes(once, Path(source).read_bytes(), durable=False)
        link_or_copy(once, copy)

    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    for part in _PARTS:
        shutil.copytree(
            ROOT / part, target / part, ignore=ignored, dirs_exist_ok=True, copy_function=take
        )
    take(str(ROOT / "Snakefile"), str(target / "Snakefile"))


def _graph(
    folder: Path, record: Mapping, about: Mapping, inputs: Mapping, outputs: Mapping
) -> Iterator[dict]:
    agent = _agent(about)
    yield {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": [
            {"@id": "https://w3id.org/ro/crate/1.1"},
            {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"},
        ],
    }
    logs = {"snakemake.log": "what Snakemake said"} if (folder / "snakemake.log").is_file() else {}
    files = {**inputs, **outputs, **logs, "README.md": "what lies here"}
    parts = [*files, f"{SNAPSHOT}/Snakefile", *(f"{SNAPSHOT}/{part}/" for part in _PARTS)]
    yield _root(record, about, agent, parts)
    for profile, name in PROFILES.items():
        version = profile.rpartition("/")[2]
        yield {"@id": profile, "@type": "CreativeWork", "name": name, "version": version}
    yield _licence(about)
    yield from _workflow(record, inputs, outputs)
    yield _action(record, agent, inputs, outputs)
    if agent:
        yield agent
    for name, text in files.items():
        formal = {"exampleOfWork": {"@id": f"#{name}"}} if name in {**inputs, **outputs} else {}
        about_crate = {"about": {"@id": "./"}} if name == "README.md" else {}
        yield _file(folder, name, text) | formal | about_crate
    for part, text in _PARTS.items():
        yield {"@id": f"{SNAPSHOT}/{part}/", "@type": "Dataset", "name": part, "description": text}


def _root(record: Mapping, about: Mapping, agent: Mapping | None, parts: list[str]) -> dict:
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{about['name']}: the run of {record['start']}",
        "description": f"{about['description']} This is the record of a run that made them.",
        "datePublished": record["end"],
        "license": {"@id": _licence(about)["@id"]},
        "conformsTo": [{"@id": profile} for profile in PROFILES],
        "mainEntity": {"@id": f"{SNAPSHOT}/Snakefile"},
        "mentions": {"@id": "#run"},
        "hasPart": [{"@id": part} for part in parts],
        **({"author": {"@id": agent["@id"]}} if agent else {}),
    }


def _agent(about: Mapping) -> dict | None:
    if not about["creator"]:
        return None
    return {"@id": "#creator", "@type": "Person", "name": about["creator"]}


def _licence(about: Mapping) -> dict:
    text = about["licence"]
    address = text if text.startswith(("https://", "http://")) else "#licence"
    return {"@id": address, "@type": "CreativeWork", "name": text}


def _workflow(record: Mapping, inputs: Mapping, outputs: Mapping) -> Iterator[dict]:
    yield {
        "@id": f"{SNAPSHOT}/Snakefile",
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": "Ferrari Pipeline",
        "description": "Raw video clips of a person in; a captioned image dataset out.",
        "conformsTo": {"@id": _WORKFLOW},
        "encodingFormat": "text/plain",
        "programmingLanguage": {"@id": "#snakemake"},
        "input": _links(f"#{name}" for name in inputs),
        "output": _links(f"#{name}" for name in outputs),
        **({"version": record["git"]["commit"]} if record["git"] else {}),
    }
    yield {
        "@id": "#snakemake",
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
        "url": {"@id": "https://snakemake.github.io"},
        "version": record["packages"].get("snakemake", ""),
    }
    for name, text in {**inputs, **outputs}.items():
        yield {
            "@id": f"#{name}",
            "@type": "FormalParameter",
            "name": name,
            "description": text,
            "additionalType": "File",
            "conformsTo": {"@id": _FORMAL},
            "workExample": {"@id": name},
        }


def _action(record: Mapping, agent: Mapping | None, inputs: Mapping, outputs: Mapping) -> dict:
    failed = {"error": "a job failed: see snakemake.log"} if record["status"] == "failed" else {}
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of {record['start']}",
        "description": record["command"],
        "startTime": record["start"],
        "endTime": record["end"],
        "actionStatus": _STATUS[record["status"]],
        "instrument": {"@id": f"{SNAPSHOT}/Snakefile"},
        "object": _links(inputs),
        "result": _links(outputs),
        **({"agent": {"@id": agent["@id"]}} if agent else {}),
        **failed,
    }


def _links(ids: Iterable[str]) -> dict | list[dict]:
    """References to `ids`; RO-Crate writes a single one without a list."""
    links = [{"@id": name} for name in ids]
    return links[0] if len(links) == 1 else links


def _file(folder: Path, name: str, text: str) -> dict:
    path = folder / name
    return {
        "@id": name,
        "@type": "File",
        "name": name,
        "description": text,
        "encodingFormat": _FORMATS.get(path.suffix, "application/octet-stream"),
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_file(path),
    }
