"""What becomes of each kind of clip on each kind of machine, against what the CPU makes of it.

python -m tests.fake_nvidia.outcomes        the whole table
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fake_nvidia import DRIVER, VIDEO, Machine, clips

Row = dict[str, str]
#: What tells of the decoder, and not of the clip.
OF_DECODER = ("decoder", "decoder_reason", "decoder_version", "proof_frames", "proof_difference")


@dataclass(frozen=True)
class State:
    """A machine: the libraries of its driver, and what is wrong with it.

    `blamed` is a part of the words for a sound clip that the card would decode, if it were well.
    """

    libraries: tuple[str, ...] = (DRIVER, VIDEO)
    environment: Mapping[str, str] | None = None
    blamed: str = ""


STATES = {
    "a card that works": State(),
    "no driver": State((), blamed="no NVDEC: the NVIDIA driver shows no device"),
    "a driver that is too old": State(
        environment={"FAKE_CUDA_INIT": "803"}, blamed="no NVDEC: the NVIDIA driver shows no device"
    ),
    "no device": State(environment={"FAKE_CUDA_DEVICES": "0"}, blamed="shows no device"),
    "no libnvcuvid": State((DRIVER,), blamed="libnvcuvid.so.1 cannot be loaded"),
    "its memory full": State(environment={"FAKE_NVDEC_MEMORY": "full"}, blamed="it stopped at"),
    "refused at once": State(environment={"FAKE_NVDEC_REFUSES": "0"}, blamed="it stopped at"),
    "refused half way": State(environment={"FAKE_NVDEC_REFUSES": "15"}, blamed="stopped"),
    "pictures 5 levels off": State(environment={"FAKE_NVDEC_OFF": "5:0"}, blamed="differs from"),
    "off from the 15th on": State(environment={"FAKE_NVDEC_OFF": "5:15"}, blamed="differs from"),
    "a picture dropped": State(environment={"FAKE_NVDEC_DROPS": "3"}, blamed="differs from"),
}


def teacher(folder: Path, paths: list[Path]) -> Machine:
    """A machine whose video engine has learned these clips."""
    machine = Machine(folder, DRIVER, VIDEO)
    machine.learn(*paths)
    return machine


def of_machine(
    folder: Path, name: str, paths: list[Path], taught: Machine, decoder: str = "nvdec_first"
) -> tuple[Machine, dict[str, list[Row]]]:
    """The machine of that name, and the rows that stage 1 gives on it of each clip."""
    state = STATES[name]
    known = {**taught.pictures, **(state.environment or {})}
    machine = Machine(folder / "driver", *state.libraries, **known)
    return machine, machine.answer("extract", decoder, folder / "dataset", *paths)


def of_clip(row: Row) -> Row:
    """A row without what it says of the decoder."""
    return {column: cell for column, cell in row.items() if column not in OF_DECODER}


def differences(rows: list[Row], cpu: list[Row]) -> list[str]:
    """In which columns the rows of a clip are not those of the CPU's decoder, bytes included."""
    if len(rows) != len(cpu):
        return [f"{len(rows)} rows, not {len(cpu)}"]
    pairs = [(of_clip(a), of_clip(b)) for a, b in zip(rows, cpu, strict=True)]
    return sorted({column for a, b in pairs for column in a if a[column] != b[column]})


def words(rows: list[Row]) -> str:
    """Which decoder, and why not the card's."""
    reasons = sorted({row["decoder_reason"] for row in rows if row["decoder_reason"]})
    return ", ".join(sorted({row["decoder"] for row in rows if row["decoder"]}) + reasons)


def table(folder: Path) -> Iterator[str]:
    """A line for each machine and kind of clip."""
    paths = clips.write(folder, *clips.KINDS)
    cpu = Machine(folder / "cpu").answer("extract", "cpu", folder / "cpu/dataset", *paths)
    taught = teacher(folder / "teacher", paths)
    for number, name in enumerate(STATES):
        yield f"\n{name}"
        _, found = of_machine(folder / str(number), name, paths, taught)
        for clip, rows in found.items():
            verdict = ", ".join(differences(rows, cpu[clip])) or "equal"
            yield f"  {clip:32} {verdict:8} {words(rows)[:140]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for line in table(Path(place)):
            print(line, flush=True)
