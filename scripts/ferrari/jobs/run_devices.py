"""Which device a run's jobs use, how many tokens they take for it, and what is logged about it
before the first job.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferrari.processes.devices import DeviceError, cuda_devices

if TYPE_CHECKING:
    from ferrari.networks.placement import Place


@dataclass(frozen=True)
class RunDevices:
    """The properties of a run that decide about devices.

    `config` is the whole configuration. `gpu_tokens` is what the run was given (`--resources gpu`),
    None if not set. `local`: jobs run on this machine. `served`: one process for each card serves
    them. `known_python`: they run on this Python, so what is installed here is what they have.
    `decides`: this is the run's own process, not that of a job.
    """

    config: Mapping
    gpu_tokens: int | None
    local: bool
    served: bool
    known_python: bool
    decides: bool

    def device(self, section: str) -> str:
        """What the jobs of a section are told: the setting, or `cpu` where nothing else can come of
        it (no token; a card that nothing installed can use).

        Whether what is installed works is asked only where the driver shows a card, of the Python
        that runs the jobs too: an environment that Snakemake deploys is taken to fit. Raises
        DeviceError where a card was named and the run is given none.
        """
        wanted = self.config[section]["device"]
        if self.gpu_tokens == 0 and wanted.startswith("cuda"):
            raise DeviceError(
                f"{section}.device is {wanted}, but the run is given no GPU (gpu=0): leave gpu=0 "
                f"out, or set {section}.device: auto or cpu"
            )
        if self.gpu_tokens == 0 or not cuda_devices():
            return "cpu" if wanted == "auto" and self.local else wanted
        if wanted != "auto" or not self.known_python or not self.decides:
            return wanted
        return "cpu" if self._place(section).device == "cpu" else wanted

    def tokens_of(self, section: str) -> int:
        """How many `gpu` tokens a job of a section takes: 1 if it opens the card itself, else 0.

        If the run's fork server serves the jobs, its one process for each card opens it, and as
        many jobs at once as there are cores are needed to keep it busy.
        """
        wanted = self.device(section)
        if wanted == "cpu" or (wanted == "auto" and not cuda_devices()):
            return 0
        return 0 if self.served and self.local else 1

    def told(self, faces: bool) -> Iterator[str]:
        """A line for each network, what it runs on; nothing where there is no card to speak of, or
        where the jobs run elsewhere. `faces`: some clip is asked for faces.

        Raises DeviceError that names the setting for a device that was named and cannot be had: one
        error before the first job is better than one from each.
        """
        if not (self.known_python and self.local and self._is_worth_a_word()):
            return
        for section, setting, what in self._asked(faces):
            if self.gpu_tokens == 0 and self.config[setting]["device"] == "auto":
                yield f"{section}: {what} on the CPU (gpu=0)"
                continue
            try:
                found = self._place(section)
            except DeviceError as error:
                raise DeviceError(f"{setting}.device: {error}") from error
            yield f"{section}: {what} on {found.device} ({found.runtime})"

    def _asked(self, faces: bool) -> Iterator[tuple[str, str, str]]:
        """What may run on a card: a name, the section whose `device` it goes by, and words."""
        yield "detect", "detect", "its network runs"
        if faces:
            yield "subject", "detect", "its network runs"
        yield "mask", "mask", "its network runs"
        if self.config["mask"]["refine"] and self.config["mask"]["matting"] == "card":
            yield "matting", "mask", "alphas are refined"
        if self.config["caption"]["backend"] == "transformers":
            yield "caption", "caption", "its network runs"

    def _place(self, section: str) -> Place:
        from ferrari.networks import section_places  # with OpenCV, which no dry run needs

        return section_places.place_of(self.config, section)

    def _is_worth_a_word(self) -> bool:
        """A card, or a setting that names one."""
        named = (self.config[section]["device"] for section in ("detect", "mask", "caption"))
        return bool(cuda_devices()) or any(device.startswith("cuda") for device in named)
