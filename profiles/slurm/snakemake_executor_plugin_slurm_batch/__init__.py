"""Snakemake's executor for SLURM, with a submitted group of jobs run as one machine runs them.

The plugin that this one is made of starts a Snakemake in each submitted job, which starts another
one for each job of the group, one after the other (its release 2.8). Here the first one does the
group's jobs itself, as many at a time as it has cores. Submitting, asking for states and cancelling
are the plugin's own.

Snakemake finds it where PYTHONPATH has the folder that this package lies in.
"""

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm import ExecutorSettings, common_settings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]


class Executor(SlurmExecutor):
    """Submits as the SLURM plugin does; what is submitted runs its jobs on its node's cores."""

    def additional_general_args(self) -> str:
        """What the command of a submitted job ends with."""
        return "--executor local"
