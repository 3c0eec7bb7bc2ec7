"""`python -m tests.train_smoke.training PACKAGE`, in .venv-trainers: the claims and their controls.

Every claim is put to a run that must meet it and to one that must not (the control): a claim that
its control meets as well proves nothing, and counts as failed.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from tests.train_smoke.kohya_set import Example, read_package
from tests.train_smoke.tiny_model import TinyModel, latent_mask, masked_loss

SEED, STEPS, EVERY, RATE = 7, 40, 8, 1e-2
MARGIN = 0.9  # the loss at the end, as a share of that at the start, must lie below
MOST = 4  # images; more would only take longer
TIMES = (300, 800)  # of 1000, at which the loss is measured

Weigh = Callable[[Example], torch.Tensor]


class Claim(NamedTuple):
    """One line of the table; `control` is what the run that must fail the claim showed."""

    name: str
    shown: str
    control: str
    holds: bool


def no_mask(example: Example) -> torch.Tensor:
    """Control: all latents weigh the same, as in a trainer that found no masks."""
    return torch.ones_like(latent_mask(example))


def inverted(example: Example) -> torch.Tensor:
    """Control: the background is trained and the subject is not."""
    return 1 - latent_mask(example)


def draw(example: Example, seed: int) -> torch.Tensor:
    """Gaussian noise in the shape of the example's latents, the same for the same seed."""
    shape = (1, 3, *latent_mask(example).shape[2:])
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def measure(model: TinyModel, examples: Iterable[Example]) -> float:
    """Mean masked loss over a fixed set of noises and times that training never draws."""
    losses = []
    for index, example in enumerate(examples):
        for time in TIMES:
            noise = draw(example, 1_000_000 + 1000 * index + time)
            prediction = model.predict(example, noise, torch.tensor([time]))
            weights = latent_mask(example)
            losses.append(masked_loss(prediction, noise, weights) / weights.mean())
    return float(torch.stack(losses).mean())


def train(
    model: TinyModel, examples: list[Example], rate: float, steps: int = STEPS
) -> list[float]:
    """`steps` steps over an epoch in which each image comes `repeats` times; the measured losses.

    The loss is measured before the first step and after every `EVERY` steps.
    """
    epoch = [example for example in examples for _ in range(example.repeats)]
    chance = torch.Generator().manual_seed(SEED)
    order = torch.randperm(len(epoch), generator=chance).tolist()
    optimizer = torch.optim.AdamW(model.lora().values(), lr=rate)
    measured = [measure(model, examples)]
    for step in range(steps):
        example = epoch[order[step % len(order)]]
        time = torch.randint(0, 1000, (1,), generator=chance)
        noise = draw(example, step)
        loss = masked_loss(model.predict(example, noise, time), noise, latent_mask(example))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % EVERY == 0:
            measured.append(measure(model, examples))
    return measured


def gradients(model: TinyModel, examples: list[Example], weigh: Weigh) -> tuple[float, float]:
    """Of the loss with respect to the prediction: its largest size where the mask is 0, and the
    smallest over the images of its largest size where it is 1.
    """
    under, inside = 0.0, float("inf")
    for index, example in enumerate(examples):
        noise = draw(example, index)
        prediction = model.predict(example, noise, torch.tensor([500])).detach().requires_grad_()
        masked_loss(prediction, noise, weigh(example)).backward()
        size, mask = prediction.grad.abs().amax(dim=1, keepdim=True), latent_mask(example)
        if (mask == 0).any():
            under = max(under, float(size[mask == 0].max()))
        if (mask == 1).any():
            inside = min(inside, float(size[mask == 1].max()))
    return under, inside


def digest(parameters: dict[str, torch.nn.Parameter]) -> str:
    """SHA-256 of all the values."""
    total = hashlib.sha256()
    for name in sorted(parameters):
        total.update(name.encode() + parameters[name].detach().numpy().tobytes())
    return total.hexdigest()


def falls(measured: list[float]) -> bool:
    """Does the mean of the last three lie below that of the first three, by the margin?"""
    return sum(measured[-3:]) < MARGIN * sum(measured[:3])


def claim_loss(examples: list[Example]) -> tuple[Claim, Claim]:
    """The loss falls, and only the LoRA has changed; the controls learn nothing, or too much."""
    model = TinyModel(SEED)
    frozen = digest(model.frozen())
    start = {name: value.detach().clone() for name, value in model.lora().items()}
    measured = train(model, examples, RATE)
    flat = train(TinyModel(SEED), examples, 0.0, steps=2 * EVERY)
    moved = sum(not torch.equal(start[name], value) for name, value in model.lora().items())
    kept = digest(model.frozen()) == frozen
    with torch.no_grad():
        next(iter(model.frozen().values())).flatten()[0] += 1e-3
    found_out = digest(model.frozen()) != frozen
    return (
        Claim(
            "loss falls",
            " ".join(f"{value:.3f}" for value in measured),
            f"rate 0: {flat[0]:.3f} to {flat[-1]:.3f}",
            falls(measured) and not falls(flat),
        ),
        Claim(
            "only the LoRA changes",
            f"{moved} of {len(start)} of its tensors; the others {'kept' if kept else 'CHANGED'}",
            f"one weight nudged: {'seen' if found_out else 'not seen'}",
            kept and found_out and moved == len(start),
        ),
    )


def claim_gradients(examples: list[Example]) -> tuple[Claim, Claim]:
    """No gradient under the mask and some inside it; found out without masks, and inverted."""
    model = TinyModel(SEED)
    under, inside = gradients(model, examples, latent_mask)
    bare, _ = gradients(model, examples, no_mask)
    wrong, swapped = gradients(model, examples, inverted)
    return (
        Claim(
            "gradient under the mask is 0",
            f"at most {under:g}",
            f"no masks: {bare:.2g}; inverted: {wrong:.2g}",
            under == 0 and bare > 0 and wrong > 0,
        ),
        Claim(
            "gradient inside is not",
            f"at least {inside:.2g} in each image",
            f"inverted: {swapped:.2g}",
            0 < inside < float("inf") and swapped == 0,
        ),
    )


def claim_background(examples: list[Example]) -> Claim:
    """The LoRA's gradients are the same, bit for bit, whatever is asked of it under the mask."""

    def lora_gradients(weigh: Weigh, change: float) -> str:
        model = TinyModel(SEED)
        for index, example in enumerate(examples[:4]):
            noise = draw(example, index)
            target = noise + change * (latent_mask(example) == 0)
            prediction = model.predict(example, noise, torch.tensor([500]))
            masked_loss(prediction, target, weigh(example)).backward()
        return digest({name: value.grad for name, value in model.lora().items()})

    same = lora_gradients(latent_mask, 0) == lora_gradients(latent_mask, 5)
    unmasked = lora_gradients(no_mask, 0) == lora_gradients(no_mask, 5)
    return Claim(
        "LoRA deaf to the background's target",
        "gradients equal" if same else "gradients DIFFER",
        f"no masks: {'equal' if unmasked else 'differ'}",
        same and not unmasked,
    )


def main(folder: Path) -> int:
    """Print the table; 1 if a claim failed."""
    torch.set_num_threads(1)  # so small a network gains nothing from more
    torch.use_deterministic_algorithms(True)
    examples = read_package(folder)
    repeats = sorted({example.repeats for example in examples})
    print(f"{len(examples)} images, {'/'.join(map(str, repeats))} repeats; {STEPS} steps")
    examples = examples[:: -(-len(examples) // MOST)]
    claims = [*claim_loss(examples), *claim_gradients(examples), claim_background(examples)]
    width = max(len(claim.name) for claim in claims)
    for claim in claims:
        mark = "PASS" if claim.holds else "FAIL"
        print(f"{mark}  {claim.name:{width}}  {claim.shown}   [control: {claim.control}]")
    return 0 if all(claim.holds for claim in claims) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
