"""Train the gated residual on frozen tokens, on top of the pool, on nested subset pairs (METHODS §2.3).

In:  one encoding of the cases (tokens), pool logits of any subset, training rows. Out: a fitted Bottleneck.
Loss: cross-entropy on a subset and on a smaller one inside it, and a ranking loss: more evidence must not hurt.
Subset sizes are drawn uniformly.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from torch import Tensor
from torch.nn.functional import cross_entropy

from clinic_mm.colearning.dropout import drawn_subset
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.heard import Heard
from clinic_mm.training.resume import Part
from clinic_mm.training.steps import Fit, descend

BATCH: Final = 64
STEPS_PER_ROW: Final = 0.5
FEWEST_STEPS, MOST_STEPS = 60, 400
LEARNING_RATE: Final = 1e-3
WEIGHT_DECAY: Final = 0.05
RANKING: Final = 0.1

Drawn = tuple[Int[Array, " b"], Bool[Array, "b M"], Bool[Array, "b M"]]
"""Cases of a step, a subset of what each has, and a smaller one inside it."""
PoolLogits = Callable[[Int[Array, " b"], Bool[Array, "b M"]], Float[Array, "b C"]]


def train_residual(
    names: tuple[str, ...],
    heard: Heard,
    pool_logits: PoolLogits,
    y: Int[Array, " n"],
    rows: Int[Array, " k"],
    prior: Float[Array, " C"],
    seed: int,
) -> Bottleneck:
    """Fit on the cases `rows`, each with at least one modality."""
    width = next(iter(heard.spoken.values())).tokens.shape[2]
    generator = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        residual = Bottleneck(names, width, torch.from_numpy(prior.astype(np.float32)))
        optimiser = torch.optim.AdamW(residual.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)

        def draw() -> Drawn:
            batch = generator.choice(rows, min(BATCH, len(rows)), replace=False)
            larger = drawn_subset(heard.present[batch], generator)
            return batch, larger, drawn_subset(larger, generator)

        def loss(drawn: Drawn) -> Tensor:
            batch, larger, smaller = drawn
            target = torch.from_numpy(y[batch])
            more, less = (
                cross_entropy(_logits(residual, heard, pool_logits, batch, mask), target, reduction="none")
                for mask in (larger, smaller)
            )
            return (more + less + RANKING * (more - less).relu()).mean()

        # What the pool says of the rows stands for the pool: it cannot be looked into from here.
        said = pool_logits(rows, heard.present[rows])
        part = Part.of("residual", names, heard, said, y, rows, prior, seed)
        steps = int(np.clip(STEPS_PER_ROW * len(rows), FEWEST_STEPS, MOST_STEPS))
        descend(Fit(part, residual, optimiser, draw, loss, generator=generator), steps)
    return residual.eval()


def _logits(
    residual: Bottleneck, heard: Heard, pool_logits: PoolLogits, batch: Int[Array, " b"], mask: Bool[Array, "b M"]
) -> Tensor:
    outputs = {
        name: heard.spoken[name].output(heard.row[name][batch], heard.time_h[batch, column])
        for column, name in enumerate(residual.names)
    }
    base = torch.from_numpy(pool_logits(batch, mask).astype(np.float32))
    return base + residual.correction(outputs, torch.from_numpy(mask))
