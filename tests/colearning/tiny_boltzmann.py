"""Tiny Boltzmann machines small enough to count every state: the truth that inference and learning are held against."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy import ndarray as Array
from scipy.special import logsumexp

from clinic_mm.colearning.boltzmann.machine import Given, Machine, Path, Units
from clinic_mm.colearning.boltzmann.units import Kind, sample_of

FIRST, SECOND, JOINT = 2, 2, 2
D = 3


def machine(kinds: tuple[Kind, ...] = ("gaussian", "counts"), seed: int = 0, scale: float = 0.6) -> Machine:
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> Array:
        return scale * rng.normal(size=shape)

    paths = [
        Path(kind, 4.0, some(D), some(D, FIRST), some(FIRST), some(FIRST, SECOND), some(SECOND), some(SECOND, JOINT))
        for kind in kinds
    ]
    return Machine(tuple(paths), some(JOINT))


def visible(kinds: tuple[Kind, ...], n: int, seed: int = 0) -> tuple[Array, ...]:
    rng = np.random.default_rng(seed)
    made = {"gaussian": lambda: rng.normal(size=(n, D)), "counts": lambda: rng.multinomial(4, [0.5, 0.3, 0.2], n) * 1.0}
    return tuple(made[kind]() for kind in kinds)


@dataclass
class Hidden:
    """Every state of all hidden units, one a row."""

    first: list[Array]
    second: list[Array]
    joint: Array


def hidden_states(n_paths: int) -> Hidden:
    states = np.array(list(product([0.0, 1.0], repeat=n_paths * (FIRST + SECOND) + JOINT)))
    parts = np.split(states, np.cumsum([FIRST] * n_paths + [SECOND] * n_paths), axis=1)
    return Hidden(parts[:n_paths], parts[n_paths : 2 * n_paths], parts[-1])


def log_weights(of: Machine, v: tuple[Array, ...], case: int, here: Array) -> Array:
    """log of exp(-E) of every hidden state with one case's visible states clamped, those not here summed out."""
    hidden = hidden_states(len(of.paths))
    n = len(hidden.joint)
    total = hidden.joint @ of.a3
    for m, path in enumerate(of.paths):
        h1, h2 = hidden.first[m], hidden.second[m]
        total = total + np.einsum("ni,ij,nj->n", h1, path.W2, h2) + h2 @ path.a2
        total = total + np.einsum("ni,ij,nj->n", h2, path.W3, hidden.joint)
        drive = path.b + h1 @ path.W1.T
        if here[m]:
            total = total + _clamped(path, v[m][case], h1)
        elif path.kind == "gaussian":  # the integral over v of exp(-|v - b|^2 / 2 + v W h)
            Wh = h1 @ path.W1.T
            total = total + h1 @ path.a1 + Wh @ path.b + 0.5 * (Wh**2).sum(axis=1) + D / 2 * np.log(2 * np.pi)
        else:  # all sequences of N words
            total = total + path.length * (h1 @ path.a1) + path.length * logsumexp(drive, axis=1)
    assert total.shape == (n,)
    return total


def _clamped(path: Path, v: Array, h1: Array) -> Array:
    if path.kind == "gaussian":
        return -0.5 * ((v - path.b) ** 2).sum() + h1 @ (path.W1.T @ v) + h1 @ path.a1
    return v @ path.b + h1 @ (path.W1.T @ v) + v.sum() * (h1 @ path.a1)


def log_likelihood(of: Machine, v: tuple[Array, ...], here: Array) -> float:
    """Mean log p(v) over cases: densities of real summaries, probabilities of word sequences."""
    nobody = np.zeros(len(of.paths), bool)
    log_z = logsumexp(log_weights(of, v, 0, nobody))
    return float(np.mean([logsumexp(log_weights(of, v, case, here)) - log_z for case in range(len(v[0]))]))


def posterior(of: Machine, v: tuple[Array, ...], case: int, here: Array) -> Units:
    """Exact means of all units, those of visible units that are not here too."""
    hidden = hidden_states(len(of.paths))
    weight = log_weights(of, v, case, here)
    p = np.exp(weight - logsumexp(weight))
    seen = []
    for m, path in enumerate(of.paths):
        drive = path.b + hidden.first[m] @ path.W1.T
        share = np.exp(drive - logsumexp(drive, axis=1, keepdims=True)) * path.length
        mean = drive if path.kind == "gaussian" else share
        seen.append((v[m][case] if here[m] else p @ mean)[None])
    return Units(
        seen, [(p @ h)[None] for h in hidden.first], [(p @ h)[None] for h in hidden.second], (p @ hidden.joint)[None]
    )


def expected_statistics(of: Machine, v: tuple[Array, ...], case: int, here: Array) -> list[Array]:
    """E[-dE/d(parameter)] under the posterior, in the order of `Machine.arrays`."""
    hidden = hidden_states(len(of.paths))
    weight = log_weights(of, v, case, here)
    p = np.exp(weight - logsumexp(weight))
    out = []
    for m, path in enumerate(of.paths):
        h1, h2 = hidden.first[m], hidden.second[m]
        drive = path.b + h1 @ path.W1.T
        share = np.exp(drive - logsumexp(drive, axis=1, keepdims=True)) * path.length
        given = np.tile(v[m][case], (len(p), 1)) if here[m] else (drive if path.kind == "gaussian" else share)
        words = given.sum(axis=1) if path.kind == "counts" else np.ones(len(p))
        out += [p @ given, np.einsum("n,ni,nj->ij", p, given, h1), (p * words) @ h1]
        out += [np.einsum("n,ni,nj->ij", p, h1, h2), p @ h2, np.einsum("n,ni,nj->ij", p, h2, hidden.joint)]
    return [*out, p @ hidden.joint]


def draw(of: Machine, n: int, rng: np.random.Generator) -> tuple[Array, ...]:
    """Visible states of n cases, exactly from the machine's own distribution."""
    weight = log_weights(of, visible(("gaussian",) * len(of.paths), 1), 0, np.zeros(len(of.paths), bool))
    state = rng.choice(len(weight), n, p=np.exp(weight - logsumexp(weight)))
    drives = [p.b + h1[state] @ p.W1.T for p, h1 in zip(of.paths, hidden_states(len(of.paths)).first, strict=True)]
    words = np.full(n, 4.0)
    return tuple(sample_of(p.kind, drive, words, rng) for p, drive in zip(of.paths, drives, strict=True))


def given(of: Machine, v: tuple[Array, ...], *here: bool) -> Given:
    return Given(v, np.tile(np.array(here), (len(v[0]), 1)))
