"""How many CPU cores this process may use: its affinity mask, less the limits of a container.

    python scripts/ferrari/common/usable_cores.py       prints the number

`nproc` cannot be used: it honours OMP_NUM_THREADS, which here limits the threads of one job.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def usable_cores(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> int:
    """At least 1. `groups` is where the kernel shows control groups; `own` names ours."""
    cores = len(os.sched_getaffinity(0))
    limits = [limit for limit in _limits(groups, own) if limit > 0]
    return max(1, min([cores, *(int(limit) for limit in limits)]))


def _limits(groups: Path, own: Path) -> Iterator[float]:
    """Cores by the quotas of our control group and those above it (version 2), or of version 1."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        kinds, _, place = rest.partition(":")
        version_2 = number == "0" and not kinds
        if not version_2 and "cpu" not in kinds.split(","):
            continue
        root = groups if version_2 else groups / kinds
        group = root / place.strip("/")
        for folder in (group, *group.parents):
            yield _quota_2(folder / "cpu.max") if version_2 else _quota_1(folder)
            if folder == root:
                break


def _quota_2(file: Path) -> float:
    """Cores by a file "<quota or max> <period>"; 0 where there is no limit."""
    try:
        quota, period = file.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # "max", or the root, which has no such file
        return 0


def _quota_1(folder: Path) -> float:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return 0


if __name__ == "__main__":
    print(usable_cores())
