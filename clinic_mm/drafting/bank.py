"""The training cases that drafts are taken from: what their evidence tells of notes, and the sentences of their notes.

In:  plain summaries of a case, any subset of modalities. Out: the nearest training cases, and what their notes say.

Each modality's summaries become a few coordinates: what they foretell of the findings in a note (`training.near`).
Similarity of a query and a case is the share of the query's modalities that both have, times exp(−d / 2), with d the
squared distance of coordinates, averaged over those modalities and scaled so that it is 2 for two cases drawn at
random. Where evidence foretells nothing, all cases are equally near. Patient-derived: the bank holds sentences of
training notes (words by the k rule, `words`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Int
from numpy import ndarray as Array
from scipy.spatial.distance import cdist

from clinic_mm.drafting.words import Tokens

FURTHEST: Final = 5.0
"""Standard deviations beyond which a summary is cut: one odd value is not to say who is near."""


@dataclass(frozen=True, slots=True)
class Foretell:
    """From the plain summaries of one modality to its coordinates.

    Attributes:
        centre: Of each summary over the training cases.
        spread: Of each.
        weight: What each standardised summary adds to each coordinate.
    """

    centre: Float32[Array, " p"]
    spread: Float32[Array, " p"]
    weight: Float32[Array, "p r"]

    def standardised(self, plain: Float[Array, "n p"]) -> Float32[Array, "n p"]:
        """Standardised and cut; an unknown summary counts as average."""
        z = np.clip((plain - self.centre) / self.spread, -FURTHEST, FURTHEST)
        known: Float32[Array, "n p"] = np.nan_to_num(z).astype(np.float32)
        return known

    def __call__(self, plain: Float[Array, "n p"]) -> Float32[Array, "n r"]:
        """Coordinates, rows of NaN where nothing is known."""
        known = np.isfinite(plain).any(axis=1)
        u: Float32[Array, "n r"] = self.standardised(plain) @ self.weight
        u[~known] = np.nan
        return u


@dataclass(frozen=True, slots=True)
class Bank:
    """Training cases with a note.

    Attributes:
        case_keys: Of each case.
        patients: Of each case, hashed.
        u: Coordinates by modality [n, r], rows of NaN where absent.
        sentences: Every sentence that may be written, in lower case.
        said: For each case, which sentences its note has.
        frequent: The draft of most frequent sentences, the same for every case.
    """

    case_keys: tuple[str, ...]
    patients: tuple[str, ...]
    u: Mapping[str, Float32[Array, "n r"]]
    sentences: tuple[Tokens, ...]
    said: tuple[tuple[int, ...], ...]
    frequent: tuple[Tokens, ...] = ()

    def __len__(self) -> int:
        return len(self.case_keys)


def similarities(bank: Bank, u: Mapping[str, Float32[Array, "q r"]]) -> Float[Array, "q n"]:
    """How near each training case is to each query, 0 to 1; 0 where they share no modality.

    Args:
        bank: Training cases.
        u: Coordinates of the queries, by modality as in the bank; rows of NaN where absent.
    """
    n_queries = len(next(iter(u.values())))
    total, shared = np.zeros((n_queries, len(bank))), np.zeros((n_queries, len(bank)))
    asked = np.zeros((n_queries, 1))
    for name, theirs in bank.u.items():
        mine = u[name]
        both = np.outer(np.isfinite(mine).any(axis=1), np.isfinite(theirs).any(axis=1))
        total += np.where(both, cdist(np.nan_to_num(mine), np.nan_to_num(theirs), "sqeuclidean"), 0.0)
        shared += both
        asked += np.isfinite(mine).any(axis=1, keepdims=True)
    near: Float[Array, "q n"] = shared / np.maximum(asked, 1) * np.exp(-total / np.maximum(shared, 1) / 2)
    return near


def nearest(similarity: Float[Array, " n"], count: int) -> Int[Array, " k"]:
    """The nearest cases, nearest first; those that share nothing are left out, ties go by place."""
    order = np.argsort(-similarity, kind="stable")[:count]
    near: Int[Array, " k"] = order[similarity[order] > 0]
    return near
