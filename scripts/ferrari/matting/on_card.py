"""The closed form solved on a card, in the process that has it; on the CPU what the card does not.

The card's process may have to be forked: a solver is made before there are other threads.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ferrari.matting import closed_form
from ferrari.matting.engines import Solve
from ferrari.networks.backends.closed_form import item
from ferrari.networks.network import CLOSED_FORM, Network, NetworkRequest, Opener
from ferrari.processes import model_process
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.model_verdicts import IsolationError, ModelDiedError

#: The first arguments of `closed_form.solve`.
_Picture: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]
#: After so many crops of a clip that ended the card's process, one after the other, no more of the
#: clip is asked for there: each of these deaths costs all jobs of the run their networks.
_TOO_MANY = 3
#: The sides in px of a picture that any card solves, and of what is unknown in its middle.
_HARMLESS, _MIDDLE = 12, slice(4, 8)


def solver(device: str, opener: Opener) -> Solve:
    """A solver on `device` ('cuda:N'), opened by `opener`; one thread may use it."""
    return _OnCard(opener(NetworkRequest("", CLOSED_FORM, device, "")))


class _OnCard:
    """Solves on the card what can be solved there."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._job, self._deaths = 0.0, 0  # of this job, one after the other

    def __call__(
        self,
        image_rgb: np.ndarray,
        unknown: np.ndarray,
        subject: np.ndarray,
        prior: np.ndarray,
        prior_weight: float,
    ) -> tuple[np.ndarray | None, int, str]:
        """As `closed_form.solve`, and "", or why the CPU solved it: the card has too little memory
        for it, its process ended on it or on crops of the clip before, or it did not converge.

        Raises IsolationError if the card's process ends on whatever comes.
        """
        picture = (image_rgb, unknown, subject, prior, prior_weight)
        self._begin_job()
        if self._deaths == _TOO_MANY:
            return _on_cpu(picture, f"the card's process had ended on {_TOO_MANY} crops in a row")
        try:
            alpha, iterations = self._asked(picture)
        except DeviceMemoryError:
            return _on_cpu(picture, "the card's memory did not suffice")
        except ModelDiedError as death:
            self._deaths += 1
            if self._deaths == _TOO_MANY:
                self._require_sound(death)
            return _on_cpu(picture, str(death))
        self._deaths = 0
        if iterations >= 0:
            return alpha.astype(np.float64), int(iterations), ""
        most = closed_form.MAX_ITERATIONS
        return _on_cpu(picture, f"not converged on the card in {most} iterations")

    def _begin_job(self) -> None:
        """What became of another clip's crops must not tell in this one's rows."""
        if self._job != model_process.called_at():
            self._job, self._deaths = model_process.called_at(), 0

    def _asked(self, picture: _Picture) -> tuple[np.ndarray, np.ndarray]:
        bounds = (closed_form.EPSILON, closed_form.TOLERANCE, closed_form.MAX_ITERATIONS)
        ((alpha, iterations),) = self._network.stream([item(*picture, *bounds)])
        return alpha, iterations

    def _require_sound(self, death: ModelDiedError) -> None:
        """Raise IsolationError if a harmless picture ends the card's process too."""
        grey = np.full((_HARMLESS, _HARMLESS, 3), 128, np.uint8)
        left, middle = np.zeros((2, _HARMLESS, _HARMLESS), bool)
        left[:, : _MIDDLE.start] = True
        middle[_MIDDLE, _MIDDLE] = True
        try:
            self._asked((grey, middle, left, left.astype(np.float32), 1.0))
        except DeviceMemoryError:
            return  # it is full, and has not ended
        except ModelDiedError as again:
            raise IsolationError(
                f"mask: the card's process ended on the alphas of {_TOO_MANY} crops in a row "
                f"({death}), and on that of a harmless picture ({again}); set mask.matting: "
                "closed_form"
            ) from again


def _on_cpu(picture: _Picture, why: str) -> tuple[np.ndarray | None, int, str]:
    return (*closed_form.solve(*picture), f"refined on the CPU: {why}")
