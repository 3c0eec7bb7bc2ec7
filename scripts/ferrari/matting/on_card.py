"""The closed form solved on a card, in the process that has it; on the CPU what the card does not.

The card's process may have to be forked: a solver is made before there are other threads.
"""

from __future__ import annotations

import numpy as np

from ferrari.matting import closed_form
from ferrari.matting.engines import Solve
from ferrari.networks.backends.closed_form import item
from ferrari.networks.network import CLOSED_FORM, Network, NetworkRequest, Opener
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.model_verdicts import IsolationError, ModelDiedError

#: Where so many crops end the card's process, and it never solved one, the crops are not to blame.
#: Each of these deaths costs all jobs of the run their networks.
_TOO_MANY = 3


def solver(device: str, opener: Opener) -> Solve:
    """A solver on `device` ('cuda:N'), opened by `opener`; one thread may use it."""
    return _OnCard(opener(NetworkRequest("", CLOSED_FORM, device, "")))


class _OnCard:
    """Solves on the card what can be solved there."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._solved, self._deaths = False, 0

    def __call__(
        self,
        image_rgb: np.ndarray,
        unknown: np.ndarray,
        subject: np.ndarray,
        prior: np.ndarray,
        prior_weight: float,
    ) -> tuple[np.ndarray | None, int, str]:
        """As `closed_form.solve`, and "", or why the CPU solved it: the card has too little memory
        for it, its process ended on it, or it did not converge there.

        Raises IsolationError if the card's process ends on whatever comes.
        """
        picture = (image_rgb, unknown, subject, prior, prior_weight)
        bounds = (closed_form.EPSILON, closed_form.TOLERANCE, closed_form.MAX_ITERATIONS)
        try:
            ((alpha, iterations),) = self._network.stream([item(*picture, *bounds)])
        except DeviceMemoryError:
            why = "the card's memory did not suffice"
        except ModelDiedError as death:
            self._count(death)
            why = str(death)
        else:
            self._solved = True
            if iterations >= 0:
                return alpha.astype(np.float64), int(iterations), ""
            why = f"not converged on the card in {closed_form.MAX_ITERATIONS} iterations"
        return (*closed_form.solve(*picture), f"refined on the CPU: {why}")

    def _count(self, death: ModelDiedError) -> None:
        self._deaths += 1
        if self._deaths >= _TOO_MANY and not self._solved:
            raise IsolationError(
                f"mask: the card's process ended on the alphas of {self._deaths} crops, and never "
                f"refined one ({death}); set mask.matting: closed_form"
            ) from death
