"""Train one encoder on one modality alone: nothing competes, so nothing goes lazy (METHODS §2.1).

In:  present training rows and their classes. Out: the fitted encoder, the same bytes for the same seed and threads.
AdamW with a cosine schedule; the last layer starts at the class prior.
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder, make_encoder
from clinic_mm.task import Budget
from clinic_mm.training.resume import Part
from clinic_mm.training.steps import Fit, Memory, descend

WEIGHT_DECAY: Final = 0.05
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

    Raises:
        StoppedError: If a loss is not finite.
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
        rows = Rows(len(x), budget.batch, np.random.default_rng(seed))

        def draw() -> tuple[Tensor, Tensor]:
            some = rows.next()
            return encoder.augment(torch.from_numpy(x[some].astype(np.float32))), torch.from_numpy(y[some])

        def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
            _, _, logits = encoder.speak(batch[0])
            return nn.functional.cross_entropy(logits, batch[1])

        part = Part.of(f"{kind} encoder", x, y, n_classes, size, budget, seed)
        more = {"rows": rows.memory}
        descend(Fit(part, encoder, optimiser, draw, loss, schedule, rows.generator, more), steps)
    return encoder.eval()


class Rows:
    """Row numbers, epoch by epoch in a new order; the last, short batch of an epoch is left out."""

    def __init__(self, n: int, batch: int, generator: np.random.Generator) -> None:
        self.n, self.batch, self.generator = n, min(batch, n), generator
        self.memory = Memory(order=generator.permutation(n), place=0)

    def next(self) -> Int[Array, " b"]:
        """Those of the next batch."""
        if self.memory["place"] + self.batch > self.n:
            self.memory.update(order=self.generator.permutation(self.n), place=0)
        place = self.memory["place"]
        self.memory["place"] = place + self.batch
        rows: Int[Array, " b"] = self.memory["order"][place : place + self.batch]
        return rows


def _steps(n: int, budget: Budget) -> int:
    if budget.epochs is not None:
        return budget.epochs * max(1, n // budget.batch)
    return int(np.clip(STEPS_PER_ROW * n, FEWEST_STEPS, MOST_STEPS))


def _start_at_prior(encoder: Encoder, y: Int[Array, " n"]) -> None:
    counts = np.bincount(y, minlength=encoder.n_classes) + 1.0
    with torch.no_grad():
        encoder.opinion.bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
