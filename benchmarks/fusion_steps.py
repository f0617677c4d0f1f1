"""Training steps of every registered fusion, on one thread; run `python -m benchmarks.fusion_steps`.

300 steps of batch 128 with three modalities of four tokens each, forward, backward and AdamW, adapters left out: what a
way of joining itself adds to a fit. All fusions take a step in turn, timed by the processor's clock, and the median
counts, so that busy neighbours weigh alike and little. The bar is about 4 seconds; the ratio is against the mean of
the present (`additive`).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from benchmarks.section import machine, write_section
from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.fusion.base import Fusion, make_fusion, registry, uniform_prior
from clinic_mm.fusion.cost import parameters

STEPS, BATCH, TOKENS, WIDTH, CLASSES = 300, 128, 4, 64, 2
NAMES = ("a", "b", "c")
BAR_S = 4.0


def outputs() -> dict[str, ModalityOutput]:
    """What three modalities might say."""
    real = torch.ones(BATCH, TOKENS, dtype=torch.bool)
    return {
        name: ModalityOutput(
            torch.randn(BATCH, TOKENS, WIDTH),
            real,
            torch.rand(BATCH, TOKENS),
            torch.randn(BATCH, WIDTH),
            torch.randn(BATCH, CLASSES),
        )
        for name in NAMES
    }


def stepper(fusion: Fusion) -> Callable[[], float]:
    """One training step on a random subset of each case; its loss."""
    optimiser = torch.optim.AdamW(fusion.train().parameters(), lr=1e-3)
    said, target = outputs(), torch.randint(0, CLASSES, (BATCH,))

    def step() -> float:
        present = torch.rand(BATCH, len(NAMES)) < 0.7
        optimiser.zero_grad()
        loss = cross_entropy(fusion(said, present), target) + fusion.penalty()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def measure(repeats: int) -> list[str]:
    """One line per fusion, the fastest first."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    fusions = {name: make_fusion(name, NAMES, WIDTH, uniform_prior(CLASSES)) for name in sorted(registry())}
    steps = {name: stepper(fusion) for name, fusion in fusions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(repeats + 3):
        for name, step in steps.items():
            start = time.process_time()
            loss = step()
            assert loss < 20, f"{name} does not learn: its loss is {loss}"
            if number >= 3:  # the first are warm-up
                seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    return [
        f"| {name} | {parameters(fusions[name]):,} | {STEPS * s:.1f} | {s / median['additive']:.1f} |"
        for name, s in sorted(median.items(), key=lambda item: item[1])
    ]


def main() -> None:
    """Measure, print, and write the section where a page is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--repeats", type=int, default=60)
    told = parser.parse_args()
    title = f"| fusion | parameters | seconds for {STEPS} steps | against `additive` |\n|---|---|---|---|"
    table = "\n".join([title, *measure(told.repeats)])
    print(table)
    if told.page:
        about = (
            f"{STEPS} steps of batch {BATCH}, {len(NAMES)} modalities of {TOKENS} tokens, width {WIDTH}, one thread of"
        )
        body = f"{about} {machine()}; the bar is about {BAR_S:.0f} s.\n\n{table}\n\n`python -m benchmarks.fusion_steps`"
        write_section(told.page, "Training steps of each fusion", body)


if __name__ == "__main__":
    main()
