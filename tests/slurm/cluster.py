"""A SLURM cluster of two nodes on loopback, from Debian's packages `slurm-wlm` and `munge`.

    python -m tests.slurm.cluster up FOLDER      prints the line that points commands at it
    python -m tests.slurm.cluster down FOLDER

It needs neither systemd nor cgroups nor the accounting database, and writes nothing but FOLDER. Its
daemons belong to whoever starts it. A node has one GPU token; no device is behind it.
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
PLUGIN = "snakemake_executor_plugin_slurm"
NODES = ("n1", "n2")
_PATIENCE_S = 30.0

_CONFIGURATION = """\
ClusterName=ferrari
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
MinJobAge=3600
MaxJobCount=10000
KillWait=5
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
SlurmctldTimeout=30
SlurmdTimeout=10
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
{more}
"""
#: What a QOS with MaxSubmitJobsPerUser says, without the accounting database that holds one. It has
#: the limit from a file, and none where that is not there.
_LIMITS = """\
function slurm_job_submit(job, partitions, user)
  local file = io.open("{folder}/submit_limit")
  if not file then return slurm.SUCCESS end
  local limit, waiting = tonumber(file:read("*l")), 0
  file:close()
  for _, other in pairs(slurm.jobs) do
    if other.job_state < 3 then waiting = waiting + 1 end
  end
  if waiting < limit then return slurm.SUCCESS end
  slurm.log_user("QOSMaxSubmitJobPerUserLimit")
  return 2050
end
function slurm_job_modify(job, wanted, partitions, user) return slurm.SUCCESS end
return slurm.SUCCESS
"""
_NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} "
    "RealMemory={memory_mb} Gres=gpu:1 State=UNKNOWN"
)


class ClusterError(Exception):
    """The cluster does not come up; the text has the end of its daemons' logs."""


def missing() -> str:
    """What this machine lacks for a cluster and the workflow on it; empty if nothing."""
    lacking = [name for name in PROGRAMS if _program(name) is None]
    if lacking:
        return f"no {', '.join(lacking)} here: apt-get install slurm-wlm munge"
    if importlib.util.find_spec(PLUGIN) is None:
        return f"no {PLUGIN.replace('_', '-')} here: pip install -e '.[slurm]'"
    return ""


def _program(name: str) -> str | None:
    places = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    return shutil.which(name, path=places)


@dataclass(frozen=True)
class Cluster:
    """A cluster whose configuration, state and logs are in `folder`, which is absolute. With
    `limits` it can be told how many jobs its queue takes.
    """

    folder: Path
    limits: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands that talk to it."""
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def up(self, cpus: int = 2) -> None:
        """Start all daemons, and wait until both nodes are idle."""
        for name in ("state", "log", "munge", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)  # munged wants its socket's folders closed to others' writing
        self._configure(cpus)
        self._place_srun()
        self._start_munge()
        self._daemon("slurmctld")
        for node in NODES:
            self.start_node(node)
        self._wait(lambda: self.states() == dict.fromkeys(NODES, "idle"), "both nodes are idle")

    def down(self) -> None:
        """End all jobs and daemons. What is not running is nothing to end."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.call("scancel", "--user", getpass.getuser(), timeout=10)
        for node in NODES:
            self.kill_node(node)
        for name in ("slurmctld.pid", "munge/munged.pid"):
            _end(_pid(self.folder / name), signal.SIGTERM)

    # --- nodes ------------------------------------------------------------------------------------

    def start_node(self, node: str) -> None:
        """Start the daemon of a node, also of one that was killed."""
        self._daemon("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """What a power cut does to a node: its daemon and all that it runs are gone at once."""
        _end(_pid(self.folder / f"slurmd-{node}.pid"), signal.SIGKILL)
        for _ in range(3):  # what was forked meanwhile
            for pid in self.processes_on(node):
                _end(pid, signal.SIGKILL)
            time.sleep(0.1)

    def processes_on(self, node: str) -> Iterator[int]:
        """Processes of jobs on a node of this cluster, and those that watch over them."""
        mine = f"SLURM_CONF={self.folder / 'slurm.conf'}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                said = (entry / "environ").read_bytes().split(b"\0")
                runs = mine in said and f"SLURMD_NODENAME={node}".encode() in said
                watches = f"{self.folder}/spool-{node}".encode()
                if runs or watches in (entry / "cmdline").read_bytes():
                    yield int(entry.name)

    def states(self) -> dict[str, str]:
        """The state of each node: idle, alloc, mix, down ..."""
        lines = self.call("sinfo", "-h", "-N", "-o", "%N %t").split("\n")
        return dict(line.split() for line in lines if line)

    def stop_controller(self) -> None:
        """End the controller, as an administrator does; nodes and their jobs stay."""
        pid = _pid(self.folder / "slurmctld.pid")
        _end(pid, signal.SIGTERM)
        self._wait(lambda: not Path(f"/proc/{pid}").exists(), "the controller has ended")

    def start_controller(self) -> None:
        """Start the controller again, with the state that it left."""
        self._daemon("slurmctld")
        self._wait(self.states, "the controller answers")

    # --- jobs -------------------------------------------------------------------------------------

    def jobs(self, *options: str) -> list[tuple[int, str, str]]:
        """Id, state and node of the jobs that are there still; `options` are squeue's."""
        lines = self.call("squeue", "-h", "-o", "%A|%T|%N", *options).splitlines()
        found = (line.split("|") for line in lines)
        return [(int(job), state, node) for job, state, node in found]

    def limit(self, jobs: int | None) -> None:
        """How many jobs may be pending or running; None for no limit."""
        file = self.folder / "submit_limit"
        if jobs is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(f"{jobs}\n")

    def submitted(self) -> int:
        """How many jobs were submitted so far."""
        last = self.call("scontrol", "show", "config")
        (line,) = (line for line in last.splitlines() if line.startswith("NEXT_JOB_ID"))
        return int(line.partition("=")[2]) - 1

    def call(self, program: str, *arguments: str, timeout: float = 60.0) -> str:
        """What a command of SLURM prints; subprocess.CalledProcessError if it fails."""
        done = subprocess.run(
            [_program(program) or program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout,
        )
        return done.stdout

    # --- starting ---------------------------------------------------------------------------------

    def _configure(self, cpus: int) -> None:
        host, ports = socket.gethostname().partition(".")[0], _free_ports(1 + len(NODES))
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
        share = memory_mb * 9 // 10 // len(NODES)
        nodes = [
            _NODE.format(name=name, host=host, port=port, cpus=cpus, memory_mb=share)
            for name, port in zip(NODES, ports[1:], strict=True)
        ]
        text = _CONFIGURATION.format(
            host=host,
            port=ports[0],
            user=getpass.getuser(),
            folder=self.folder,
            nodes="\n".join(nodes),
            names=",".join(NODES),
            more="JobSubmitPlugins=lua" if self.limits else "",
        )
        if self.limits:
            (self.folder / "job_submit.lua").write_text(_LIMITS.format(folder=self.folder))
        (self.folder / "slurm.conf").write_text(text)
        # A token needs a device file; nobody opens these.
        tokens = [
            f"NodeName={name} Name=gpu File=/dev/{device}\n"
            for name, device in zip(NODES, ("null", "zero"), strict=True)
        ]
        (self.folder / "gres.conf").write_text("".join(tokens))
        (self.folder / "cgroup.conf").write_text("CgroupAutomount=no\nConstrainDevices=no\n")

    def _place_srun(self) -> None:
        """A step's `srun` is started without any SLURM_CONF, for which real clusters have a default
        place: the one that is found first knows this cluster's.
        """
        srun = self.folder / "bin/srun"
        srun.parent.mkdir(exist_ok=True)
        conf = self.folder / "slurm.conf"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF="{conf}" exec "{_program("srun")}" "$@"\n')
        srun.chmod(0o755)

    def _start_munge(self) -> None:
        place = self.folder / "munge"
        place.chmod(0o755)
        key = place / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        named = {"socket": "munge.socket", "pid-file": "munged.pid", "log-file": "munged.log",
                 "seed-file": "munge.seed", "key-file": "munge.key"}  # fmt: skip
        options = [f"--{option}={place / name}" for option, name in named.items()]
        self._run("munged", "--force", *options)

    def _daemon(self, program: str, *arguments: str) -> None:
        self._run(program, "-f", str(self.folder / "slurm.conf"), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        command = [_program(program) or program, *arguments]
        log = self.folder / f"{program}.out"
        with open(log, "ab") as stream:  # no pipe: the daemon keeps it open
            done = subprocess.run(
                command, env=self.environment, stdout=stream, stderr=stream, check=False
            )
        if done.returncode:
            raise ClusterError(f"{program} does not start:\n{log.read_text()[-2000:]}")

    def _wait(self, what, told: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.CalledProcessError):
                if what():
                    return
            time.sleep(0.2)
        logs = [f"{p.name}:\n{p.read_text()[-1500:]}" for p in self.folder.glob("log/*.log")]
        raise ClusterError(f"waited {_PATIENCE_S:.0f} s in vain until {told}\n" + "\n".join(logs))


def _free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _pid(file: Path) -> int:
    text = file.read_text().strip() if file.is_file() else ""
    return int(text) if text.isdigit() else 0


def _end(pid: int, kind: signal.Signals) -> None:
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, kind)


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status."""
    if len(arguments) != 2 or arguments[0] not in ("up", "down"):
        print(__doc__, file=sys.stderr)
        return 2
    cluster = Cluster(Path(arguments[1]).absolute())
    if arguments[0] == "down":
        cluster.down()
        return 0
    if why := missing():
        print(why, file=sys.stderr)
        return 1
    cluster.up()
    print(f"export SLURM_CONF={cluster.folder / 'slurm.conf'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
