"""The equation of closed-form matting on a card, by torch: what `matting.closed_form` solves with
the CPU, for whoever has more of a card than of cores.

An item is a picture with what is known of it (`item`), of any size, and items are solved one by
one: sums over more pixels would be split otherwise, so a crop's alpha would depend on its company.
Windows are assembled in float64 and stored, like all vectors, in float32. Nothing is added by
atomic operations, so the same picture gives the same bytes on the same card.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ferrari.networks import network
from ferrari.networks.backends import torch_runtime
from ferrari.networks.network import Network, NetworkRequest, Outputs
from ferrari.processes.devices import ran_on

if TYPE_CHECKING:
    import torch

_SUBJECT, _UNKNOWN = 1, 2  # 0: scene
#: Bytes of the card: more than a picture of 2^20 px takes, all of them unknown
#: (`unit/matting/test_on_card.py`). A crop of 1000 x 600 px takes a tenth.
SHARE = 768 << 20
_REACH = 2  # px from a pixel to the farthest that shares a window with it
_SPAN = 2 * _REACH + 1
_STEPS = 8  # of the solver until it is asked whether it has converged: an answer empties the queue
_CHUNK = 1 << 16  # windows whose colours are worked on together in float64
_TINY = 1e-30  # what nothing is divided by


def item(
    image_rgb: np.ndarray,
    unknown: np.ndarray,
    subject: np.ndarray,
    prior: np.ndarray,
    prior_weight: float,
    epsilon: float,
    tolerance: float,
    most: int,
) -> np.ndarray:
    """An item of the solver, an array of shape (); the first five as `matting.closed_form.solve`.

    `epsilon` regularises the windows' covariances; the residual's norm is to be `tolerance` of the
    right-hand side's, after at most so many iterations.
    """
    height, width = unknown.shape
    fields = [("limits", "f8", 4), ("prior", "f4", (height, width)),
              ("image", "u1", (height, width, 3)), ("kinds", "u1", (height, width))]  # fmt: skip
    made = np.zeros((), np.dtype(fields))
    made["limits"] = (prior_weight, epsilon, tolerance, most)
    made["prior"], made["image"] = prior, image_rgb
    made["kinds"] = np.where(unknown, _UNKNOWN, subject)
    return made


def load(request: NetworkRequest) -> Network:
    """The solver; its items are those of `item`, and it has no weights."""
    return ClosedForm(request)


class ClosedForm:
    """Of each item the alpha of its unknown pixels, float32 row by row, and the iterations that it
    took, an int64 of shape (); -1 if it did not converge. `about` as `network.Network.about`.
    """

    def __init__(self, request: NetworkRequest) -> None:
        self._torch = torch_runtime.start(request.device, request.threads)
        self._device = request.device
        torch_runtime.take(request.device, self, SHARE)
        self.about = network.about(request, ran_on(request.device, "torch"), batch=1)

    def stream(self, items: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """As Network's, of items as `item` makes them."""
        for one in items:
            with torch_runtime.memory_errors(), self._torch.inference_mode():
                found = self._solved(one)
            yield found

    def _solved(self, one: np.ndarray) -> Outputs:
        weight, epsilon, tolerance, most = one["limits"].tolist()
        equation = _Equation(self._on_device(one["image"]), self._on_device(one["kinds"]), epsilon)
        prior = self._on_device(one["prior"]).reshape(-1)[equation.unknown]
        alpha, iterations = equation.solved(prior, weight, tolerance, int(most))
        return alpha.cpu().numpy(), np.asarray(iterations)

    def _on_device(self, values: np.ndarray) -> torch.Tensor:
        return self._torch.from_numpy(values).to(self._device)


class _Equation:
    """The matting Laplacian's rows of the unknown pixels: 25 coefficients each, of the pixel's
    neighbours row by row, and what its known neighbours add to the right-hand side.
    """

    def __init__(self, image: torch.Tensor, kinds: torch.Tensor, epsilon: float) -> None:
        """`image` HxWx3 and `kinds` HxW, uint8."""
        import torch

        self._torch = torch
        edges = (_REACH, _REACH, _REACH, _REACH)
        padded = torch.nn.functional.pad(kinds, edges)
        self._wide, flat = padded.shape[1], padded.reshape(-1)
        self._own = (flat == _UNKNOWN).nonzero()[:, 0].int()
        self.unknown = (kinds == _UNKNOWN).reshape(-1).nonzero()[:, 0]
        colours = torch.nn.functional.pad(image.permute(2, 0, 1), edges).reshape(3, -1)
        self._rows = self._assembled(padded, colours, epsilon)
        places = torch.zeros_like(flat, dtype=torch.int32)
        places[self._own] = torch.arange(len(self._own), dtype=torch.int32, device=flat.device)
        self._near = torch.empty(self._rows.shape, dtype=torch.int32, device=flat.device)
        self._known = torch.zeros_like(self._rows[0])
        for k in range(_SPAN**2):
            near = self._own + self._offset(k, _SPAN)
            kind = flat.index_select(0, near)
            self._known -= self._rows[k] * (kind == _SUBJECT)
            self._rows[k] *= kind == _UNKNOWN
            self._near[k] = places.index_select(0, near)  # of known ones any: times nothing

    def _offset(self, k: int, span: int) -> int:
        """From a pixel to the k-th of the square of `span` px around it."""
        return (k // span - span // 2) * self._wide + k % span - span // 2

    def _assembled(
        self, padded: torch.Tensor, colours: torch.Tensor, epsilon: float
    ) -> torch.Tensor:
        """The 25 coefficients of each unknown pixel, of known neighbours too, first."""
        torch = self._torch
        touched = torch.nn.functional.max_pool2d((padded == _UNKNOWN).float()[None], 3, 1, 1)[0]
        touched[: _REACH + 1], touched[-_REACH - 1 :] = 0, 0  # windows lie within the picture
        touched[:, : _REACH + 1], touched[:, -_REACH - 1 :] = 0, 0
        centres = touched.reshape(-1).nonzero()[:, 0].int()
        centred, inverse = self._windows(colours, centres, epsilon)
        numbers = torch.full((padded.numel(),), len(centres), dtype=torch.int32,
                             device=padded.device)  # fmt: skip
        numbers[centres] = torch.arange(len(centres), dtype=torch.int32, device=padded.device)
        there = torch.ones_like(centred[0, 0])
        there[-1] = 0  # the window of those that have none
        rows = torch.zeros((_SPAN, _SPAN, len(self._own)), device=padded.device)
        for k in range(9):  # the windows in which a pixel is the k-th
            which = numbers.index_select(0, self._own - self._offset(k, 3))
            there_k = there.index_select(0, which)
            up, left = k // 3, k % 3
            for line in range(3):
                part = centred[:, 3 * line : 3 * line + 3].index_select(2, which)
                part = (part * inverse[:, k].index_select(1, which)[:, None]).sum(0)
                rows[2 - up + line, 2 - left : 5 - left] -= part + there_k / 9
            rows[_REACH, _REACH] += there_k
        return rows.reshape(_SPAN**2, -1)

    def _windows(
        self, colours: torch.Tensor, centres: torch.Tensor, epsilon: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Each window's centred colours c, and S c with S the inverse of their covariance x 9 +
        `epsilon`: 3x9 a window, with one more of zeros at the end.
        """
        torch = self._torch
        shape = (3, 9, len(centres) + 1)
        centred, scaled = (torch.zeros(shape, device=colours.device) for _ in range(2))
        steps = torch.tensor([self._offset(k, 3) for k in range(9)], device=colours.device)
        for start in range(0, len(centres), _CHUNK):
            part = centres[start : start + _CHUNK]
            pixels = (part[None] + steps[:, None]).reshape(-1)
            c = colours.index_select(1, pixels).reshape(3, 9, -1).double() / 255
            c -= c.mean(1, keepdim=True)
            centred[:, :, start : start + len(part)] = c
            scaled[:, :, start : start + len(part)] = _whitened(c, epsilon)
        return centred, scaled

    def _times(self, vector: torch.Tensor) -> torch.Tensor:
        """The matrix of the equation x `vector`."""
        near = vector.index_select(0, self._near.reshape(-1)).reshape(self._near.shape)
        return near.mul_(self._rows).sum(0)

    def solved(
        self, prior: torch.Tensor, weight: float, tolerance: float, most: int
    ) -> tuple[torch.Tensor, int]:
        """Alpha by conjugate gradients with Jacobi's preconditioner, from `prior` on, and the
        iterations; -1 if they were too many. Steps after the end go nowhere.
        """
        torch, x = self._torch, prior.clone()
        right = self._known + weight * prior
        self._rows[_SPAN**2 // 2] += weight
        inverse = 1 / self._rows[_SPAN**2 // 2]
        residual = right - self._times(x)
        limit = (tolerance * max(float(torch.dot(right, right)) ** 0.5, 1e-12)) ** 2
        direction = inverse * residual
        energy, taken = torch.dot(residual, direction), torch.zeros((), device=x.device)
        off = ~(torch.dot(residual, residual) <= limit)  # what is no number is never there
        for done in range(0, most, _STEPS):
            if not off.item():
                break
            for _ in range(min(_STEPS, most - done)):
                image = self._times(direction)
                step = energy / torch.dot(direction, image).clamp_min(_TINY) * off
                x.addcmul_(direction, step)
                residual.addcmul_(image, step, value=-1)
                taken += off
                off = ~(torch.dot(residual, residual) <= limit)
                scaled = inverse * residual
                before, energy = energy, torch.dot(residual, scaled)
                direction = torch.addcmul(scaled, direction, energy / before.clamp_min(_TINY))
        return x, -1 if off.item() else int(taken.item())


def _whitened(c: torch.Tensor, epsilon: float) -> torch.Tensor:
    """S c of centred colours `c` (3x9xN), S being the inverse of the sum of c c' + `epsilon`."""
    (rr, rg, rb), (_, gg, gb), (_, _, bb) = (c[:, None] * c[None]).sum(2)
    rr, gg, bb = rr + epsilon, gg + epsilon, bb + epsilon
    s_rr, s_gg, s_bb = gg * bb - gb * gb, rr * bb - rb * rb, rr * gg - rg * rg
    s_rg, s_rb, s_gb = rb * gb - rg * bb, rg * gb - rb * gg, rg * rb - rr * gb
    scale = 1 / (rr * s_rr + rg * s_rg + rb * s_rb)
    r, g, b = c
    lines = ((s_rr, s_rg, s_rb), (s_rg, s_gg, s_gb), (s_rb, s_gb, s_bb))
    out = c.new_empty(c.shape)
    for place, (of_r, of_g, of_b) in enumerate(lines):
        out[place] = (of_r * r + of_g * g + of_b * b) * scale
    return out
