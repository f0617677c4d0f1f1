"""Train one encoder on one modality alone: nothing competes, so nothing goes lazy (METHODS §2.1).

In:  present training rows and their classes. Out: the fitted encoder, the same bytes for the same seed and threads.
AdamW with a cosine schedule; the last layer starts at the class prior.
"""

from functools import partial
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray as Array
from torch import Tensor, nn

from clinic_mm.encoders.base import Encoder, make_encoder
from clinic_mm.encoders.run import run_encoder
from clinic_mm.prep.base import widened
from clinic_mm.task import Budget
from clinic_mm.training.batches import autocast, mean_loss, shared
from clinic_mm.training.best import LOOKS, Best, held_patients
from clinic_mm.training.resume import Part
from clinic_mm.training.steps import Fit, Memory, Stateful, descend

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
    groups: Array | None = None,
) -> Encoder:
    """Fit an encoder and its own opinion on rows that are all present.

    Args:
        kind: Row of the modality table.
        x: Prepared tensors.
        y: Classes 0 … C-1.
        n_classes: C.
        size: tiny | small | base.
        budget: Epochs (None: by the number of rows), batch, learning rate, precision, patience.
        seed: Of the first weights, the order of rows and the augmentation.
        groups: Patient of each row, by whom rows are kept aside where the budget has patience; each row its own patient
            if None.

    Raises:
        StoppedError: If a loss is not finite.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = make_encoder(kind, x.shape[1:], n_classes, size)
        encoder.fit_input(torch.from_numpy(x.astype(np.float32)))
        _start_at_prior(encoder, y)
        generator = np.random.default_rng(seed)
        look = _Look(encoder, x, y, groups, budget, generator)
        steps = _steps(len(look.fit), budget)
        optimiser = torch.optim.AdamW(
            encoder.parameters(), lr=budget.learning_rate, weight_decay=WEIGHT_DECAY, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3 * budget.learning_rate, total_steps=max(steps, 2))
        rows, opinion = Rows(len(look.fit), budget.batch, generator), shared(_Opinion(encoder))

        def draw() -> tuple[Tensor, Tensor]:
            some = look.fit[rows.next()]
            return encoder.augment(widened(x[some])), torch.from_numpy(y[some])

        def loss(batch: tuple[Tensor, Tensor]) -> Tensor:
            with autocast(budget.precision):
                return mean_loss(opinion, *batch, step=int(rows.memory["drawn"]), seed=seed)

        part = Part.of(f"{kind} encoder", x, y, n_classes, size, budget, seed, "" if groups is None else groups)
        more: dict[str, Stateful] = {"rows": rows.memory, "best": look.best}
        descend(
            Fit(part, encoder, optimiser, draw, loss, schedule, generator, more, partial(look, steps)),
            steps,
        )
        look.best.take(encoder.cpu())
    return encoder.eval()


class _Opinion(nn.Module):
    """An encoder's own opinion alone."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Float[Tensor, "n ..."]) -> Float[Tensor, "n C"]:
        """Logits, float32 whatever the arithmetic inside."""
        logits: Tensor = self.encoder.speak(x)[2]
        return logits.float()


class _Look:
    """Rows of patients kept aside where the budget has patience, and how they fare."""

    def __init__(
        self,
        encoder: Encoder,
        x: Float[Array, "n ..."],
        y: Int[Array, " n"],
        groups: Array | None,
        budget: Budget,
        generator: np.random.Generator,
    ) -> None:
        away = np.zeros(len(x), dtype=bool)
        if budget.patience is not None:
            patients = np.arange(len(x)) if groups is None else groups
            away = np.isin(patients, held_patients(patients, generator))
        self.encoder, self.patience, self.best = encoder, budget.patience, Best()
        self.fit, self.x, self.y = np.flatnonzero(~away), x[away], y[away]

    def __call__(self, steps: int, done: int) -> bool:
        """Look now and then; whether to stop."""
        if not len(self.x) or self.patience is None or done % max(1, steps // LOOKS):
            return False
        logits = run_encoder(self.encoder, self.x).logits
        self.best.saw(float(nn.functional.cross_entropy(logits, torch.from_numpy(self.y))), done, self.encoder)
        return self.best.waited >= self.patience


class Rows:
    """Row numbers, epoch by epoch in a new order; the last, short batch of an epoch is left out."""

    def __init__(self, n: int, batch: int, generator: np.random.Generator) -> None:
        self.n, self.batch, self.generator = n, min(batch, n), generator
        self.memory = Memory(order=generator.permutation(n), place=0, drawn=0)

    def next(self) -> Int[Array, " b"]:
        """Those of the next batch."""
        if self.memory["place"] + self.batch > self.n:
            self.memory.update(order=self.generator.permutation(self.n), place=0)
        place = self.memory["place"]
        self.memory.update(place=place + self.batch, drawn=self.memory["drawn"] + 1)
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
