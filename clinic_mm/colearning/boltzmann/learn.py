"""Learn a multimodal deep Boltzmann machine: greedy layers first, then all weights together.

In:  visible states of cases, some modalities absent; sizes and budget. Out: a `Machine` in the type of the states.

1. Each path alone: two restricted machines by contrastive divergence on the rows where the modality is there; then the
   joint layer on all second layers side by side. Weights count twice in the direction in which the finished machine
   will have a second neighbour.
2. Together: mean field with what is there clamped (the positive phase), persistent Gibbs chains (the negative phase);
   absent modalities are inferred, not left out. Labels are never looked at.

Source: as `machine`; persistent chains after Tieleman 2008 (doi:10.1145/1390156.1390290).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.colearning.boltzmann.adam import Adam, batches
from clinic_mm.colearning.boltzmann.infer import Clamp, gibbs, mean_field
from clinic_mm.colearning.boltzmann.machine import ARRAYS, Given, Machine, Path, Units
from clinic_mm.colearning.boltzmann.rbm import BATCH, fit_rbm, layer_rates
from clinic_mm.colearning.boltzmann.units import Kind

CHAINS: Final = 100
POSITIVE_SWEEPS: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and budget.

    Attributes:
        first: Units of each first hidden layer.
        second: Units of each second hidden layer.
        joint: Units of the joint layer.
        epochs: Rounds over the cases for each layer alone.
        joint_epochs: Rounds over the cases for all layers together; 0 leaves the machine as the layers made it.
        rate: Learning rate of the layers alone.
        joint_rate: Learning rate of all layers together.
        chain_sweeps: Gibbs sweeps of the persistent chains per step.
    """

    first: int = 64
    second: int = 32
    joint: int = 32
    epochs: int = 30
    joint_epochs: int = 15
    rate: float = 0.01
    joint_rate: float = 0.003
    chain_sweeps: int = 1


def learn(kinds: Sequence[Kind], given: Given, plan: Plan, rng: np.random.Generator) -> Machine:
    """A machine fitted to the cases.

    Args:
        kinds: Of the visible units of each path.
        given: Visible states, one row per case; each path there in at least one.
        plan: Sizes and budget.
        rng: Of everything random.
    """
    machine = layered(kinds, given, plan, rng)
    if plan.joint_epochs:
        together(machine, given, plan, rng)
    return machine


def layered(kinds: Sequence[Kind], given: Given, plan: Plan, rng: np.random.Generator) -> Machine:
    """The machine that greedy learning of one layer after the other gives."""
    paths, seconds = [], []
    for m, kind in enumerate(kinds):
        path, second = _path(kind, given.visible[m][given.here[:, m]], plan, rng)
        paths.append(path)
        # Where a modality is absent, its second layer is as it is on average: it says nothing.
        spread = np.tile(second.mean(axis=0), (len(given.here), 1))
        spread[given.here[:, m]] = second
        seconds.append(spread)
    beside = np.hstack(seconds)
    top = fit_rbm("binary", beside, _ones(beside), plan.joint, epochs=plan.epochs, rate=plan.rate, rng=rng, down=2.0)
    halves = zip(paths, np.split(top.W, len(kinds)), np.split(top.b, len(kinds)), strict=True)
    return Machine(tuple(replace(path, W3=W3, a2=(path.a2 + b) / 2) for path, W3, b in halves), top.a)


def _path(
    kind: Kind, v: Float[Array, "k D"], plan: Plan, rng: np.random.Generator
) -> tuple[Path, Float[Array, "k H2"]]:
    """The lower two layers of a modality, and what the upper one says of its rows."""
    length = v.sum(axis=1) if kind == "counts" else _ones(v)
    low = fit_rbm(kind, v, length, plan.first, epochs=plan.epochs, rate=plan.rate, rng=rng, up=2.0)
    first = low.hidden(v, length)
    high = fit_rbm("binary", first, length, plan.second, epochs=plan.epochs, rate=plan.rate, rng=rng, up=2.0, down=2.0)
    none = np.zeros((plan.second, plan.joint), v.dtype)
    words = float(np.rint(length.mean())) if kind == "counts" else 1.0
    a1 = (low.a + high.b / np.float32(words)) / 2
    return Path(kind, words, low.b, low.W, a1, high.W, high.a, none), high.hidden(first, length)


def together(machine: Machine, given: Given, plan: Plan, rng: np.random.Generator) -> None:
    """Climb the bound on the log-likelihood with all weights at once, in place."""
    n = len(given.here)
    rates = [r for p in machine.paths for r in (*layer_rates(plan.joint_rate, p.length), *[plan.joint_rate] * 3)]
    adam = Adam(machine.arrays, [*rates, plan.joint_rate], plan.joint_epochs * -(-n // BATCH))
    free, chains = _chains(machine, given, plan, rng)
    for rows in batches(n, BATCH, plan.joint_epochs, rng):
        seen = machine.statistics(mean_field(machine, given.rows(rows), POSITIVE_SWEEPS))
        chains = gibbs(machine, free, chains, rng, plan.chain_sweeps)
        dreamt = machine.statistics(chains)
        adam.step([data - own for data, own in zip(seen, dreamt, strict=True)])


def _chains(machine: Machine, given: Given, plan: Plan, rng: np.random.Generator) -> tuple[Given, Units]:
    """Chains that start at cases, and that nothing is clamped in."""
    rows = given.rows(rng.integers(0, len(given.here), CHAINS))
    units = Clamp(machine, rows).start()
    free = Given(tuple(units.visible), np.zeros_like(rows.here))
    return free, gibbs(machine, free, units, rng)


def _ones(v: Float[Array, "n D"]) -> Float[Array, " n"]:
    return np.ones(len(v), v.dtype)


def as_float64(machine: Machine) -> Machine:
    """The same machine in double precision, so that a row alone and among many agree closely."""
    paths = []
    for path in machine.paths:
        b, W1, a1, W2, a2, W3 = (getattr(path, name).astype(np.float64) for name in ARRAYS)
        paths.append(Path(path.kind, path.length, b, W1, a1, W2, a2, W3))
    return Machine(tuple(paths), machine.a3.astype(np.float64))
