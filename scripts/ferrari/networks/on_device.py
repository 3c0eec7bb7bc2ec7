"""Networks that run in the process of a card, which serves other jobs too.

A detector or segmenter takes an opener; this one leaves networks that run on the CPU where they
are, and has the others loaded by that process (`processes.device_process`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from ferrari.networks.network import Network, NetworkRequest, open_here
from ferrari.processes import device_slots, devices
from ferrari.processes.device_client import DeviceModel
from ferrari.processes.device_process import DEVICE
from ferrari.processes.model_verdicts import Limits

#: Pictures that a network takes at once on a card. Its batches have one size and are filled up, so
#: a clip of a few pictures pays for whole ones; with eight, a card takes about as long to compute
#: as it does to be told what.
MOST = 8


@dataclass(frozen=True)
class OnDevice:
    """An opener of networks; `device` is the setting, `limits` those of its section."""

    device: str
    limits: Limits

    def one_slot(self) -> AbstractContextManager[None]:
        """For a job with several model processes: their card's processes share one slot, if there
        is no fork server whose one process serves them all.
        """
        if self.device == "cpu" or not devices.cuda_devices():
            return nullcontext()
        return device_slots.of_one_job(device_slots.CUDA, devices.cards_of(self.device))

    def __call__(self, request: NetworkRequest) -> Network:
        """The network, in this process or in that of one of the cards that the setting allows."""
        if request.device == "cpu":
            return open_here(request)
        asked = replace(request, device=DEVICE, batch=min(request.batch, MOST))
        return DeviceModel(asked, self.limits, devices.cards_of(self.device))
