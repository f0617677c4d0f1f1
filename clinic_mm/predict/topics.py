"""A way of joining by latent Dirichlet allocation: a case is a document whose words come from every modality it has.

In:  `Heard`. Out: topic shares of any subset, and logits by a ridge head on them. How it is fitted stands in
`training.methods.lda`.

Words: hashed words of a note as they are counted; of a real summary one word, low, middle or high, by its thirds in
training, and none where it is missing. An absent modality adds no word, so the topics are inferred from those present.

Source: Blei, Ng & Jordan 2003, JMLR 3:993-1022, §5.2 for the variational shares of one document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self, cast

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from scipy.special import psi

from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, Joined, State, with_prior
from clinic_mm.predict.heads import Head, from_arrays
from clinic_mm.prep.note import word_counts

STEPS: Final = 100
TOLERANCE: Final = 1e-3
ROWS_AT_ONCE: Final = 512
EPS: Final = float(np.finfo(float).eps)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How one modality's summaries become words.

    Attributes:
        edges: Upper bounds of all levels but the last [p, levels - 1] of real summaries; [0, 0] for counted words.
        places: The places of counted words that are kept; empty for real summaries.
    """

    edges: Float64[Array, "p e"]
    places: Int[Array, " w"]

    @property
    def size(self) -> int:
        """Words known."""
        n_summaries, n_edges = self.edges.shape
        return len(self.places) or n_summaries * (n_edges + 1)

    def counts(self, plain: Float[Array, "k p"]) -> Float64[Array, "k w"]:
        """How often each word stands in each row."""
        if len(self.places):
            kept: Array = word_counts(plain)[:, self.places]
            return kept
        levels = self.edges.shape[1] + 1
        level = (plain[:, :, None] > self.edges).sum(axis=2)
        known = np.isfinite(plain)
        words = known[:, :, None] & (level[:, :, None] == np.arange(levels))
        counts: Array = words.reshape(len(plain), self.size).astype(np.float64)
        return counts


@dataclass(frozen=True, slots=True)
class Topics:
    """Fitted topics.

    Attributes:
        vocabularies: Of each modality, in the order of the columns.
        words: exp E[log beta], topics by words, the vocabularies side by side.
        alpha: Prior of each topic's share.
    """

    names: tuple[str, ...]
    vocabularies: tuple[Vocabulary, ...]
    words: Float64[Array, "K w"]
    alpha: float

    def documents(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float64[Array, "r w"]:
        """Words of subsets."""
        parts = []
        for column, (name, vocabulary) in enumerate(zip(self.names, self.vocabularies, strict=True)):
            part = np.zeros((len(case), vocabulary.size))
            here = present[:, column]
            part[here] = vocabulary.counts(heard.plain[name][case[here]])
            parts.append(part)
        return np.hstack(parts)

    def shares(self, counts: Float64[Array, "r w"]) -> Float64[Array, "r K"]:
        """Expected share of each topic in each document, by coordinate steps until the shares stand still.

        gamma_k = alpha + exp(psi(gamma_k)) sum_w n_w beta_kw / sum_j exp(psi(gamma_j)) beta_jw
        """
        gamma = np.ones((len(counts), len(self.words)))
        moving = np.arange(len(counts))
        for _ in range(STEPS):
            if not len(moving):
                break
            last = gamma[moving]
            weight = np.exp(psi(last) - psi(last.sum(axis=1, keepdims=True)))
            ratio = counts[moving] / (weight @ self.words + EPS)
            gamma[moving] = self.alpha + weight * (ratio @ self.words.T)
            moving = moving[np.abs(gamma[moving] - last).mean(axis=1) >= TOLERANCE]
        shares: Array = gamma / gamma.sum(axis=1, keepdims=True)
        return shares


class JoinedTopics(Joined):
    """Fitted topics with their head.

    Args:
        topics: Where shares come from.
        head: Judges shares beside presence flags.
        log_prior: The answer where nobody speaks.
    """

    kind: ClassVar[str] = "topics"

    def __init__(self, topics: Topics, head: Head, log_prior: Float[Array, " C"]) -> None:
        self.topics, self.head, self.log_prior = topics, head, log_prior

    def logits(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r C"]:
        """Log-probabilities by the head."""
        said = self.head.predict(judged_by(self.topics, heard, case, present))
        return with_prior(np.log(said), present, self.log_prior)

    def to_state(self) -> State:
        """Words, levels and places of each modality, and the head."""
        arrays = {f"head/{key}": a for key, a in self.head.to_arrays().items()}
        for m, vocabulary in enumerate(self.topics.vocabularies):
            arrays |= {f"edges/{m}": vocabulary.edges, f"places/{m}": vocabulary.places}
        told: dict[str, JsonValue] = {"head": self.head.kind, "alpha": self.topics.alpha}
        names: list[JsonValue] = [*self.topics.names]
        return {**told, "names": names}, {**arrays, "words": self.topics.words, "log_prior": self.log_prior}

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        names = tuple(cast(Sequence[str], told["names"]))
        vocabularies = tuple(Vocabulary(arrays[f"edges/{m}"], arrays[f"places/{m}"]) for m in range(len(names)))
        topics = Topics(names, vocabularies, arrays["words"], cast(float, told["alpha"]))
        head = {key.removeprefix("head/"): a for key, a in arrays.items() if key.startswith("head/")}
        return cls(topics, from_arrays(str(told["head"]), head), arrays["log_prior"])

    def cost(self) -> Cost:
        """Topics and head; two products with the topics in each step, of which there may be `STEPS`."""
        head = sum(a.size for a in self.head.to_arrays().values())
        return Cost(self.topics.words.size + head, 2 * STEPS * self.topics.words.size + head)


def judged_by(
    topics: Topics, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]
) -> Float64[Array, "r f"]:
    """What the head sees: the shares of each row, and who speaks in it."""
    parts = [np.zeros((0, len(topics.words)))]
    for start in range(0, len(case), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        parts.append(topics.shares(topics.documents(heard, case[rows], present[rows])))
    return np.hstack([np.concatenate(parts), present.astype(np.float64)])
