# GPUs ("cards"): how many resource tokens there are, and which device a stage's jobs get.
# Contract: nothing is asked about a card if the driver shows none. No rule here.

import tempfile

from ferrari.jobs.run_devices import RunDevices
from ferrari.jobs.stage_command import tell_tokens
from ferrari.processes.devices import cuda_devices, nvdec_engines, nvdec_problem


def tokens(name):
    """How many tokens of a resource the run has (`--resources`, a profile); None if not set."""
    given = workflow.global_resources.get(name)
    return None if given is None or given.value is None else int(given.value)


tell_tokens(tokens("gpu"), tokens("nvdec"))
if tokens("gpu") is None and cuda_devices():
    # One job per card, for jobs that open the card themselves: two networks at once gain little.
    workflow.register_resource("gpu", cuda_devices())
if tokens("nvdec") is None and config["extract"]["decoder"] != "cpu":
    if not nvdec_problem():
        workflow.register_resource("nvdec", cuda_devices() * nvdec_engines(0))

#: The scratch folder of local jobs. Snakemake's default would look it up again for each job.
SCRATCH = {"tmpdir": tempfile.gettempdir()} if workflow.local_exec else {}

DEVICES = RunDevices(
    config,
    gpu_tokens=tokens("gpu"),
    local=bool(workflow.local_exec),
    served=SERVED,
    known_python=PYTHON == sys.executable,
    decides=workflow.is_main_process,
)


def device(section):
    """The device on which the jobs of a section run their network."""
    with ending_the_run():
        return DEVICES.device(section)


def on_gpu(section):
    """How many `gpu` tokens a job of a section takes."""
    with ending_the_run():
        return DEVICES.tokens_of(section)
