"""Train one encoder on one modality alone: nothing competes, so nothing goes lazy (METHODS §2.1).

In:  present training rows and their classes. Out: the fitted encoder, the same bytes for the same seed and threads.
AdamW with a cosine schedule; the last layer starts at the class prior.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder, make_encoder
from clinic_mm.task import Budget

WEIGHT_DECAY: Final = 0.05
CLIP_NORM: Final = 1.0
STEPS_PER_ROW: Final = 0.4
FEWEST_STEPS, MOST_STEPS = 60, 600


def train_encoder(
    kind: str,
    x: Float[Array, "n ..."],
    y: Int[Array, " n"],
    n_classes: int,
    *,
    size: str,
    budget: Budget,
    seed: int,
) -> Encoder:
    """Fit an encoder and its own opinion on rows that are all present.

    Args:
        kind: Row of the modality table.
        x: Prepared tensors.
        y: Classes 0 … C-1.
        n_classes: C.
        size: tiny | small | base.
        budget: Epochs (None: by the number of rows), batch, learning rate.
        seed: Of the first weights, the order of rows and the augmentation.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = make_encoder(kind, x.shape[1:], n_classes, size)
        encoder.fit_input(torch.from_numpy(x.astype(np.float32)))
        _start_at_prior(encoder, y)
        steps = _steps(len(x), budget)
        optimiser = torch.optim.AdamW(
            encoder.parameters(), lr=budget.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3 * budget.learning_rate, total_steps=max(steps, 2))
        encoder.train()
        for rows in _batches(len(x), budget.batch, steps, seed):
            batch = encoder.augment(torch.from_numpy(x[rows].astype(np.float32)))
            _, _, logits = encoder.speak(batch)
            step(encoder, optimiser, nn.functional.cross_entropy(logits, torch.from_numpy(y[rows])))
            schedule.step()
    return encoder.eval()


def step(module: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One optimiser step with clipped gradients."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(module.parameters(), CLIP_NORM)
    optimiser.step()


def _steps(n: int, budget: Budget) -> int:
    if budget.epochs is not None:
        return budget.epochs * max(1, n // budget.batch)
    return int(np.clip(STEPS_PER_ROW * n, FEWEST_STEPS, MOST_STEPS))


def _batches(n: int, batch: int, steps: int, seed: int) -> Iterator[Int[Array, " b"]]:
    """Row numbers, epoch by epoch in a new order; the last, short batch of an epoch is left out."""
    generator = np.random.default_rng(seed)
    batch = min(batch, n)
    order = generator.permutation(n)
    place = 0
    for _ in range(steps):
        if place + batch > n:
            order, place = generator.permutation(n), 0
        yield order[place : place + batch]
        place += batch


def _start_at_prior(encoder: Encoder, y: Int[Array, " n"]) -> None:
    counts = np.bincount(y, minlength=encoder.n_classes) + 1.0
    with torch.no_grad():
        encoder.opinion.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
