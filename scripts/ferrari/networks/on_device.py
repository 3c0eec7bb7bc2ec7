"""Networks that run in the process of a card, which serves other jobs too.

A detector or segmenter takes an opener; this one leaves networks that run on the CPU where they
are, and has the others loaded by that process (`processes.device_process`). The process sees its
card alone, as the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ferrari.networks.network import Network, NetworkRequest, open_here
from ferrari.processes import device_slots, model_process
from ferrari.processes.device_client import DeviceModel
from ferrari.processes.devices import cards_of
from ferrari.processes.model_verdicts import Limits


@dataclass(frozen=True)
class OnDevice:
    """An opener of networks; `device` is the setting, `limits` those of its section."""

    device: str
    limits: Limits

    def __call__(self, request: NetworkRequest) -> Network:
        """The network, in this process or in that of one of the cards that the setting allows."""
        if not request.device.startswith("cuda"):
            return open_here(request)
        return DeviceModel(replace(request, device="cuda:0"), self.limits, cards_of(self.device))


def keep_card(device: str) -> None:
    """Before this process opens a card for itself ('cuda:N'): wait for a slot, and keep it.

    Where it runs beside the process that others share: there are slots of its own for that.
    """
    if device.startswith("cuda"):
        ((index, slots),) = cards_of(device).slots
        device_slots.keep(device_slots.OWN, index, slots, model_process.say_it_waits)
