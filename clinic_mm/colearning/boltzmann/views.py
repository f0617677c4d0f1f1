"""Turn plain summaries of one modality into visible states of a Boltzmann machine.

In:  plain summaries [k, p] of rows where the modality is there. Out: float64 states [k, D].

    gaussian  gaps take the median and a flag, values are clipped, more than 256 summaries give way to their principal
              components (fusion.adapters.Features); then each number has mean 0 and standard deviation 1 in training
    counts    hashed words as counts (prep.note.word_counts), of the places that training texts use
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Final, Self

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from numpy import ndarray as Array

from clinic_mm.colearning.boltzmann.units import Kind
from clinic_mm.fusion.adapters import CLIP, Features, fit_features
from clinic_mm.prep.note import word_counts

MOST_WORDS: Final = 512
"""Places of words kept, those that most training texts use."""


class View(ABC):
    """One modality's way to visible states."""

    kind: ClassVar[Kind]

    @property
    @abstractmethod
    def width(self) -> int:
        """Visible units."""

    @abstractmethod
    def states(self, plain: Float[Array, "k p"]) -> Float64[Array, "k D"]:
        """Visible states of rows where the modality is there."""

    @abstractmethod
    def to_arrays(self) -> dict[str, Array]:
        """All it is made of."""

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The same again."""


class Standard(View):
    """Real summaries."""

    kind: ClassVar[Kind] = "gaussian"

    def __init__(self, features: Features, mean: Float64[Array, " D"], scale: Float64[Array, " D"]) -> None:
        self.features, self.mean, self.scale = features.double(), mean, scale

    @classmethod
    def fit(cls, plain: Float[Array, "k p"]) -> Self:
        """From training rows where the modality is there."""
        features = fit_features(torch.from_numpy(plain.astype(np.float32))).double()
        z = features(torch.from_numpy(plain.astype(np.float64))).numpy()
        scale = z.std(axis=0)
        return cls(features, z.mean(axis=0), np.where(scale > 1e-6, scale, 1.0))

    @property
    def width(self) -> int:
        """Visible units."""
        return len(self.mean)

    @torch.inference_mode()
    def states(self, plain: Float[Array, "k p"]) -> Float64[Array, "k D"]:
        """Standardised."""
        cells = self.features(torch.from_numpy(plain.astype(np.float64))).numpy()
        z: Array = np.clip((cells - self.mean) / self.scale, -CLIP, CLIP)
        return z

    def to_arrays(self) -> dict[str, Array]:
        """The features' buffers, mean and scale."""
        buffers = {f"features.{key}": t.numpy().copy() for key, t in self.features.state_dict().items()}
        return {**buffers, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        buffers = {k.removeprefix("features."): np.array(a) for k, a in arrays.items() if k.startswith("features.")}
        n_inputs, n_components = buffers["components"].shape
        features = Features(n_inputs, len(buffers["flagged"]), n_components).double()
        features.load_state_dict({key: torch.from_numpy(a) for key, a in buffers.items()})
        return cls(features, np.array(arrays["mean"]), np.array(arrays["scale"]))


class Words(View):
    """Hashed words."""

    kind: ClassVar[Kind] = "counts"

    def __init__(self, places: Int[Array, " D"]) -> None:
        self.places = places

    @classmethod
    def fit(cls, plain: Float[Array, "k p"]) -> Self:
        """The places that most training texts use."""
        texts = (plain > 0).sum(axis=0)
        order = np.argsort(-texts, kind="stable")[:MOST_WORDS]
        used = order[texts[order] > 0]
        return cls(np.sort(used if len(used) else order[:1]).astype(np.int64))

    @property
    def width(self) -> int:
        """Visible units."""
        return len(self.places)

    def states(self, plain: Float[Array, "k p"]) -> Float64[Array, "k D"]:
        """Counts."""
        return word_counts(plain)[:, self.places]

    def to_arrays(self) -> dict[str, Array]:
        """The places."""
        return {"places": self.places}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The same again."""
        return cls(np.array(arrays["places"]))


VIEWS: Final[Mapping[Kind, type[View]]] = {"gaussian": Standard, "counts": Words}
