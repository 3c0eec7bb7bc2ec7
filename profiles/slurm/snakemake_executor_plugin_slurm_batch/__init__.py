"""Snakemake's executor for SLURM, with a submitted group of jobs run as one machine runs them.

The plugin that this one is made of starts a Snakemake in each submitted job, which starts another
one for each job of the group, one after the other (its release 2.8). Here the first one does the
group's jobs itself, as many at a time as it has cores. Where SLURM takes no job at present, the
plugin counts a failed try; here the submission waits. Where SLURM does not say how jobs are, the
plugin forgets them; here they are asked for again. All else is the plugin's own.

Snakemake finds it where PYTHONPATH has the folder that this package lies in.
"""

import re
import threading

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

#: What `sbatch` says of a job that it would take at another time: a limit on jobs in the queue is
#: reached (the user's, an account's, a QOS's, the controller's), the partition takes none now, the
#: controller is away. A timeout is not among these: the job may have been taken.
_LATER = re.compile(
    r"(?:Assoc|QOS)(?:Grp|Max)SubmitJob|temporarily un(?:able|available)"
    r"|Required partition not available|Unable to contact slurm controller"
)
_PAUSE_S = 30.0


class Executor(SlurmExecutor):
    """Submits as the SLURM plugin does; what is submitted runs its jobs on its node's cores."""

    def __init__(self, workflow, logger) -> None:
        """What the plugin does. What is needed here comes first: states are asked for by a thread
        that Snakemake starts meanwhile, and that dies without a word where something is missing.
        """
        self._refused = threading.local()  # the plugin submits from threads
        self._ending = threading.Event()
        self._ended: set[object] = set()  # jobs, since states were asked for last
        self._said = ""
        super().__init__(workflow, logger)

    def additional_general_args(self) -> str:
        """What the command of a submitted job ends with."""
        return "--executor local"

    def run_job(self, job) -> None:
        """Submit a job, when SLURM takes it."""
        while told := self._refusal(job):
            self._say(told[1])
            if self._ending.wait(_PAUSE_S):
                super()._report_job_error_threadsafe(*told)
                return

    def _refusal(self, job) -> tuple | None:
        """Submit a job now; what the plugin would have reported, if SLURM takes it later."""
        self._refused.told, self._refused.is_asked = None, True
        try:
            super().run_job(job)
        finally:
            self._refused.is_asked = False
        return self._refused.told

    async def check_active_jobs(self, active_jobs):
        """Ask for states. Jobs of which nothing could be learnt stay active.

        The plugin forgets all of them if SLURM does not answer (its release 2.8), and the run would
        wait for them for ever.
        """
        self._ended.clear()
        active = {job.external_jobid: job for job in active_jobs}
        async for job in super().check_active_jobs(active_jobs):
            active.pop(job.external_jobid, None)
            yield job
        for external_id, job in active.items():
            if external_id not in self._ended:
                yield job

    def report_job_success(self, job_info) -> None:
        """What the plugin does, noted down."""
        self._ended.add(job_info.external_jobid)
        super().report_job_success(job_info)

    def report_job_error(self, job_info, *arguments: object, **named: object) -> None:
        """What the plugin does, noted down."""
        self._ended.add(job_info.external_jobid)
        super().report_job_error(job_info, *arguments, **named)

    def cancel_jobs(self, active_jobs) -> None:
        """End waiting submissions, and what was submitted."""
        self._ending.set()
        super().cancel_jobs(active_jobs)

    def shutdown(self) -> None:
        """The plugin waits for its submissions here."""
        self._ending.set()
        super().shutdown()

    def _report_job_error_threadsafe(self, job_info, msg: str) -> None:
        if getattr(self._refused, "is_asked", False) and _LATER.search(msg):
            self._refused.told = (job_info, msg)
        else:
            super()._report_job_error_threadsafe(job_info, msg)

    def _say(self, told: str) -> None:
        """Why submissions wait; once for each reason, not for each job and each time."""
        why = _LATER.search(told).group()
        if why != self._said:
            self._said = why
            self.logger.warning(
                f"SLURM takes no job at present ({why}): submissions wait, and are tried again "
                f"every {_PAUSE_S:.0f} s. squeue and sinfo show what is in the way."
            )
