# Cards: how many tokens there are, and which device a stage's jobs are told.
# Contract: nothing of a card is asked where the driver shows none; no rule here.

from ferrari.jobs.run_devices import RunDevices
from ferrari.jobs.stage_command import tell_tokens
from ferrari.processes.devices import cuda_devices, nvdec_engines, nvdec_problem


def tokens(name):
    """How many tokens of a kind the run was given (`--resources`, a profile); None: nobody said."""
    given = workflow.global_resources.get(name)
    return None if given is None or given.value is None else int(given.value)


tell_tokens(tokens("gpu"), tokens("nvdec"))
if tokens("gpu") is None and cuda_devices():
    # Of jobs that hold the card themselves, one on each: networks beside each other gain little.
    workflow.register_resource("gpu", cuda_devices())
if tokens("nvdec") is None and config["extract"]["decoder"] != "cpu":
    if not nvdec_problem():
        workflow.register_resource("nvdec", cuda_devices() * nvdec_engines(0))

DEVICES = RunDevices(
    config,
    gpu_tokens=tokens("gpu"),
    local=bool(workflow.local_exec),
    served=SERVED,
    known_python=PYTHON == sys.executable,
    decides=workflow.is_main_process,
)


def device(section):
    """Where the jobs of a section are told to run their network."""
    with ending_the_run():
        return DEVICES.device(section)


def on_gpu(section):
    """How many tokens `gpu` a job of a section takes."""
    with ending_the_run():
        return DEVICES.tokens_of(section)
