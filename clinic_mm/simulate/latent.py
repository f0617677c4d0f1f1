"""Draw the hidden truth of simulated cases: the label, one number per modality, and what was never acquired.

In:  a `World` (separations, missing mechanism, rate, synergy) and a random generator.
Out: `Draws`: label y, latent e, the value v that is rendered, presence. Vectorised: one case or a million alike.

y ~ Bernoulli(0.3); e_m | y ~ N(±δ_m/2, 1), independent given y. A note is symbols, so its v is e in 13 levels.
With synergy the first two modalities also carry ±1 each, alone a coin, their product the label (XOR).
Absence depends on nothing (MCAR), on the anchor modality where that is present (MAR), or on the modality's own v
(MNAR). A case with nothing is drawn again, label and all. Nothing here writes a file.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.special import expit, ndtr

from clinic_mm.errors import UsageError

DELTAS: Final = {
    "ct": 1.0,
    "xray": 0.9,
    "eeg": 0.9,
    "record": 0.9,
    "note": 0.6,
    "ecg": 0.9,
    "eye": 0.8,
    "omics": 0.9,
    "audio": 0.8,
}
"""Separations δ of the two classes, in standard deviations of e (METHODS §4)."""

DEFAULT: Final = ("ct", "xray", "eeg", "record", "note")
"""What a cohort has unless others are asked for."""

PREVALENCE: Final = 0.3
SYNERGY_SHIFT: Final = 1.0
"""How far the XOR part moves e up or down."""

MISSING_SLOPE: Final = -1.0
"""Log-odds of being absent per unit of v: the sicker a case looks, the likelier it is examined."""

NOTE_CUTS: Final = np.linspace(-1.65, 1.65, 12)
"""Where e of a note passes to the next of its 13 levels."""

NOTE_VALUES: Final = np.linspace(-1.8, 1.8, 13)
"""v of each level: the middle of its interval."""

HERMITE_NODES: Final = 41

Missing: TypeAlias = Literal["MCAR", "MAR", "MNAR"]
MECHANISMS: Final = ("MCAR", "MAR", "MNAR")

STREAMS: Final = ("latent", "person", "ct", "xray", "eeg", "record", "note", "ecg", "eye", "omics", "audio")
"""Every case has one stream of random numbers per purpose, so that no part can disturb another. A new one goes last."""


def case_generator(seed: int, number: int, stream: str) -> np.random.Generator:
    """The random numbers of one case for one purpose; they depend on nothing else."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, STREAMS.index(stream))))


@dataclass(frozen=True, slots=True)
class Draws:
    """Hidden truth of n cases over M modalities, in the order of the world.

    Attributes:
        y: Label, 0 or 1.
        e: Latent of each modality.
        v: What is rendered: e, or for notes the value of its level.
        present: Whether it was acquired.
    """

    y: Int[Array, " n"]
    e: Float[Array, "n M"]
    v: Float[Array, "n M"]
    present: Bool[Array, "n M"]


@dataclass(frozen=True)
class World:
    """All that governs the draws.

    Attributes:
        modalities: Names, order as given; the first two carry the synergy.
        missing: MCAR, MAR or MNAR.
        rate: Probability that one modality is absent, before cases with nothing are drawn again.
        synergy: Whether the XOR part is on.
    """

    modalities: tuple[str, ...] = DEFAULT
    missing: Missing = "MCAR"
    rate: float = 0.3
    synergy: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated."""
        known = ", ".join(DELTAS)
        if not self.modalities or len(set(self.modalities)) != len(self.modalities):
            raise UsageError("A simulated cohort needs modalities, each once", "modalities", f"Choose from {known}")
        if unknown := sorted(set(self.modalities) - set(DELTAS)):
            raise UsageError(f"No simulator for {', '.join(unknown)}", "modalities", f"Choose from {known}")
        if self.missing not in MECHANISMS:
            raise UsageError(f"Unknown mechanism {self.missing!r}", "missing", f"Choose from {', '.join(MECHANISMS)}")
        if not 0.0 <= self.rate <= 0.95:
            raise UsageError(f"Missing rate {self.rate} is out of range", "rate", "Give a rate from 0 to 0.95")
        if self.synergy and len(self.modalities) < 2:
            raise UsageError("Synergy needs two modalities", "synergy", "Add one, or leave synergy off")

    @cached_property
    def deltas(self) -> Float[Array, " M"]:
        """Separation of each modality."""
        return np.array([DELTAS[m] for m in self.modalities])

    @cached_property
    def anchor(self) -> int:
        """The modality that MAR depends on: the record, else the first."""
        return self.modalities.index("record") if "record" in self.modalities else 0

    def subsets(self) -> list[tuple[int, ...]]:
        """All non-empty subsets as column numbers, small ones first."""
        M = len(self.modalities)
        return [S for size in range(1, M + 1) for S in combinations(range(M), size)]

    def mean(self, y: Int[Array, "*n"], s: Int[Array, "*n"]) -> Float[Array, "*n M"]:
        """Mean of e given the label y ∈ {0, 1} and the coin s ∈ {−1, 1} of the XOR part."""
        sign = 2 * np.asarray(y)[..., None] - 1
        mean: Float[Array, "*n M"] = sign * self.deltas / 2
        if self.synergy:
            coin = np.asarray(s)[..., None]
            mean[..., :2] += SYNERGY_SHIFT * np.concatenate([coin, coin * sign], axis=-1)
        return mean

    @cached_property
    def support(self) -> list[tuple[Float[Array, "2 2 K"], Float[Array, "2 2 K"]]]:
        """Of each modality, values of v and their probabilities given (y, s): Gauss-Hermite, or the 13 levels."""
        y, s = np.meshgrid([0, 1], [-1, 1], indexing="ij")
        mean = self.mean(y, s)
        nodes, weights = np.polynomial.hermite_e.hermegauss(HERMITE_NODES)
        found = []
        for m, name in enumerate(self.modalities):
            if name == "note":
                p = note_probability(mean[..., m])
                found.append((np.broadcast_to(NOTE_VALUES, p.shape), p))
            else:
                v = mean[..., m, None] + nodes
                found.append((v, np.broadcast_to(weights / math.sqrt(2 * math.pi), v.shape)))
        return found

    @cached_property
    def intercepts(self) -> Float[Array, "M M"]:
        """Entry [m, j]: log-odds that m is absent at v_j = 0, when absence depends on v_j; mean absence is the rate."""
        if self.rate == 0.0:
            return np.full((len(self.modalities),) * 2, -np.inf)
        per_source = [self._intercept(j) for j in range(len(self.modalities))]
        return np.tile(per_source, (len(self.modalities), 1))

    def _intercept(self, j: int) -> float:
        v, p = self.support[j]
        share = p * np.array([1 - PREVALENCE, PREVALENCE])[:, None, None] / 2
        low, high = -40.0, 40.0
        for _ in range(60):
            middle = (low + high) / 2
            too_rare = float((share * expit(middle + MISSING_SLOPE * v)).sum()) < self.rate
            low, high = (middle, high) if too_rare else (low, middle)
        return (low + high) / 2

    def absence(self, v: Float[Array, "n M"], anchor_present: Bool[Array, " n"] | bool) -> Float[Array, "n M"]:
        """Probability that each modality is absent, given what the mechanism may look at."""
        flat = np.full(v.shape, self.rate)
        if self.missing == "MCAR":
            return flat
        if self.missing == "MNAR":
            return np.asarray(expit(np.diag(self.intercepts) + MISSING_SLOPE * v))
        at_anchor = expit(self.intercepts[:, self.anchor] + MISSING_SLOPE * v[:, [self.anchor]])
        absent = np.where(np.reshape(anchor_present, (-1, 1)), at_anchor, flat)
        absent[:, self.anchor] = self.rate
        return absent


def note_probability(mean: Float[Array, "*n"]) -> Float[Array, "*n 13"]:
    """Probability of each of the 13 levels of a note whose e ~ N(mean, 1)."""
    below = ndtr(NOTE_CUTS - np.asarray(mean)[..., None])
    edge = np.zeros((*below.shape[:-1], 1))
    return np.diff(below, axis=-1, prepend=edge, append=edge + 1.0)


def note_level(e: Float[Array, "*n"]) -> Int[Array, "*n"]:
    """Level 0 to 12 of a note's latent."""
    return np.searchsorted(NOTE_CUTS, e)


def draw(world: World, rng: np.random.Generator, n: int) -> Draws:
    """Draw n cases; here a case may still have nothing (see `draw_case`)."""
    y = (rng.random(n) < PREVALENCE).astype(np.int64)
    s = rng.integers(0, 2, n) * 2 - 1
    e = world.mean(y, s) + rng.standard_normal((n, len(world.modalities)))
    v = e.copy()
    if "note" in world.modalities:
        column = world.modalities.index("note")
        v[:, column] = NOTE_VALUES[note_level(e[:, column])]
    chance = rng.random(e.shape)
    anchor_present = chance[:, world.anchor] >= world.rate
    return Draws(y, e, v, chance >= world.absence(v, anchor_present))


def draw_case(world: World, rng: np.random.Generator) -> Draws:
    """Draw one case that has something; one with nothing is drawn again, label and all."""
    while True:
        case = draw(world, rng, 1)
        if case.present.any():
            return case
