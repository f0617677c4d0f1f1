"""Render a latent into an omics sample: read counts of 1,500 made-up genes, of which 100 carry it.

In:  v, a random generator. Out: counts [gene]; as a file, one line of a CSV matrix with samples in rows.

Half of the carriers rise with v, half fall. Size of the library, six programs of other genes and noise of each gene
vary more than that, independent of v, so that no single gene and no sum tells it.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

GENES: Final = 1500
CARRIERS: Final = 100
PER_V: Final = 0.35
"""Log fold of a carrier per unit of v."""

PROGRAMS: Final = 6
PROGRAM_GENES: Final = 250
PROGRAM_SIZE: Final = 0.3
NOISE: Final = 0.35
LIBRARY: Final = 0.25
BODY_SEED: Final = 20_251
"""What genes are like is the same in every cohort."""

NAMES: Final = tuple(f"SIMG{gene:05d}" for gene in range(1, GENES + 1))
HEADER: Final = ",".join(["sample_id", *NAMES])
SAMPLE_COLUMNS: Final = "sample_id,patient_id,collected_at"


class Genes(NamedTuple):
    """What genes are like: mean log count, how v moves them, how each program does."""

    level: Float[Array, " gene"]
    per_v: Float[Array, " gene"]
    programs: Float[Array, "program gene"]


@cache
def genes() -> Genes:
    """The genes of every cohort."""
    rng = np.random.default_rng(BODY_SEED)
    per_v, programs = np.zeros(GENES), np.zeros((PROGRAMS, GENES))
    carriers = rng.choice(GENES, CARRIERS, replace=False)
    per_v[carriers] = PER_V * np.where(np.arange(CARRIERS) % 2, 1.0, -1.0)
    for program in programs:
        members = rng.choice(GENES, PROGRAM_GENES, replace=False)
        program[members] = PROGRAM_SIZE * rng.choice([-1.0, 1.0], PROGRAM_GENES)
    return Genes(rng.normal(3.5, 1.0, GENES), per_v, programs)


def render(v: float, rng: np.random.Generator) -> tuple[Int[Array, " gene"], float]:
    """Render one sample.

    Args:
        v: What the carriers encode.
        rng: The case's random numbers for omics.

    Returns:
        Read counts, and the log of the size of the library.
    """
    told = genes()
    library = float(rng.normal(0.0, LIBRARY))
    log_rate = told.level + told.per_v * v + rng.standard_normal(PROGRAMS) @ told.programs + library
    return rng.poisson(np.exp(log_rate + rng.normal(0.0, NOISE, GENES))), library


def line(name: str, v: float, rng: np.random.Generator) -> str:
    """One line of the matrix."""
    counts, _ = render(v, rng)
    return ",".join([name, *map(str, counts.tolist())])
