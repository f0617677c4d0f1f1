"""Turn a sample of omics into a few components, learnt from training cases only.

In:  one number for each of many features (clinic_mm.signals.OmicsSample), on the scale that its source declares.
Out: float32 [component] of unit spread over the training cases; network and plain heads take the same numbers.

    z = (comparable(values) - mean) / sd          of the F features that vary most, what is missing is 0
    x = z W,  W = V diag(1 / s)                   V: right singular vectors of the training z, s: spread of their scores

Fitting runs through the training samples once, into a temporary file of n x p x 4 bytes; in memory it holds a few times
p numbers and n x F. Labels are never looked at.

Source: filter by variance before all else, Bourgon et al. 2010, doi:10.1073/pnas.0914005107; principal components by
Eckart & Young 1936, doi:10.1007/BF02288367.
"""

import base64
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, ClassVar, Final, Self

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError, TaskError
from clinic_mm.prep.base import NothingKnownError, Prep, Prepared, Recipe
from clinic_mm.signals import OmicsSample
from clinic_mm.sources.omics.scales import comparable
from clinic_mm.task import ModalityTask
from clinic_mm.types import Flag

FEATURES: Final = {"tiny": 1000, "small": 2000, "base": 4000}
COMPONENTS: Final = {"tiny": 32, "small": 48, "base": 64}
KNOWN_SHARE: Final = 0.8
"""A feature is learnt where this share of the training samples has it."""
FEWEST_SHARE: Final = 0.5
"""A sample without this share of the learnt features is another assay, or of another panel."""
FLAG_SHARE: Final = 0.95
CLIP: Final = 10.0
RANK: Final = 1e-6
"""Singular values below this share of the largest are noise of rounding."""


class OmicsPrep(Prep[OmicsSample]):
    """Filter features by variance, standardise them, and project them to principal components."""

    kind: ClassVar[str] = "omics"
    learns: ClassVar[bool] = True

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe)
        self.features = tuple(recipe["features"])
        self.centre, self.spread = (_array(recipe[name]) for name in ("centre", "spread"))
        self.weights = _array(recipe["weights"]).reshape(len(self.features), -1) if self.features else np.zeros((0, 0))
        self._seen: tuple[tuple[str, ...], Array] | None = None

    @classmethod
    def plan(cls, size: str, options: ModalityTask) -> Self:
        """How many features and components by model size; `fit` learns them."""
        del options
        sizes = {"most": FEATURES[size], "components": COMPONENTS[size]}
        return cls({**sizes, "scale": "", "features": [], "centre": "", "spread": "", "weights": ""})

    def fit(self, signals: Iterable[tuple[OmicsSample, datetime | None]]) -> Self:
        """Learn features and components from training samples.

        Raises:
            TaskError: If the samples are on several scales, or share hardly any feature: several assays in one
                modality.
        """
        with tempfile.TemporaryFile() as file:
            spool = _Spool(file)
            for sample, _ in signals:
                spool.add(sample)
            if not spool.rows:
                return self
            names = spool.shared()
            mean, variance, known = spool.moments(names)
            varying = np.flatnonzero((variance > 1e-12) & (known >= KNOWN_SHARE * len(spool.rows)))
            if not len(varying):
                raise TaskError("No feature varies over the training samples", "modality / omics", SEVERAL)
            order = varying[np.argsort(-variance[varying], kind="stable")][: self.recipe["most"]]
            chosen = np.sort(order)
            features = [names[at] for at in chosen]
            centre, spread = mean[chosen].astype(np.float32), np.sqrt(variance[chosen]).astype(np.float32)
            z = np.stack([standardised(row, centre, spread) for row in spool.aligned(features)])
        weights = components(z, int(self.recipe["components"]))
        told = {"centre": _text(centre), "spread": _text(spread), "weights": _text(weights)}
        return type(self)({**self.recipe, "scale": spool.scale, "features": features, **told})

    def __call__(self, signal: OmicsSample, until: object = None) -> Prepared:
        """Prepare one sample.

        Raises:
            EvidenceError: `omics.other_scale` where it is not on the scale of the training samples,
                `omics.few_features` where it has hardly half of what was learnt.
            NothingKnownError: Where nothing was learnt.
        """
        del until
        if not self.features:
            raise NothingKnownError("omics.nothing_known", "The model has learnt nothing of this assay", "omics")
        if signal.scale != self.recipe["scale"]:
            what = f"The sample is given as {signal.scale}, the model was trained on {self.recipe['scale']}"
            raise EvidenceError("omics.other_scale", what, "omics", "Give the values on the scale of the model")
        row = np.append(comparable(signal.values, signal.scale), np.float32(np.nan))[self._places(signal.features)]
        share = float(np.isfinite(row).mean())
        if share < FEWEST_SHARE:
            what = f"Of the features that the model knows, the sample has {100 * share:.0f} %"
            raise EvidenceError("omics.few_features", what, "omics", "Give the assay that the model was trained on")
        x = (standardised(row, self.centre, self.spread) @ self.weights).astype(np.float32)
        why = f"{100 * (1 - share):.0f} % of the features that the model knows are missing, and count as average"
        flags = (Flag(code="omics.features_missing", why=why),) if share < FLAG_SHARE else ()
        return Prepared(x, x, (*signal.flags, *flags))

    def _places(self, given: tuple[str, ...]) -> Array:
        """Where each learnt feature stands in a sample, one past its end where nowhere; a matrix has one order."""
        if self._seen is None or self._seen[0] is not given:
            where = {name: at for at, name in enumerate(given)}
            self._seen = given, np.array([where.get(name, len(given)) for name in self.features])
        return self._seen[1]

    @property
    def shape(self) -> tuple[int, ...]:
        """Components."""
        return (self.weights.shape[1],)

    @property
    def plain_names(self) -> tuple[str, ...]:
        """Components have no names of their own."""
        return tuple(f"component {at}" for at in range(1, self.shape[0] + 1))


SEVERAL: Final = (
    "Where a cohort has several assays, give each a modality: named under [[source]], [modality.…] in the task"
)


def standardised(
    row: Float[Array, " feature"], centre: Float[Array, " feature"], spread: Float[Array, " feature"]
) -> Float[Array, " feature"]:
    """Distance from the training mean in standard deviations, clipped; 0 where missing."""
    z = (row.astype(np.float64) - centre) / spread
    return np.asarray(np.clip(np.where(np.isfinite(z), z, 0.0), -CLIP, CLIP))


def components(z: Float[Array, "n feature"], most: int) -> Float32[Array, "feature component"]:
    """Weights that turn rows into principal components of unit spread, the largest weight of each positive."""
    _, s, v = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    k = max(1, min(most, len(z) - 1, int((s > RANK * s[0]).sum())))
    spread = np.maximum(s[:k] / np.sqrt(max(1, len(z) - 1)), 1e-12)
    weights = v[:k].T / spread if s[0] > 0 else np.zeros((z.shape[1], k))
    sign = np.sign(weights[np.abs(weights).argmax(axis=0), np.arange(k)])
    return np.asarray(weights * np.where(sign == 0, 1.0, sign), np.float32)


class _Spool:
    """Samples in a file, of any lists of features; in memory only the lists, each once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lists: dict[tuple[str, ...], int] = {}
        self.rows: list[tuple[int, int]] = []
        self.scale = ""

    def add(self, sample: OmicsSample) -> None:
        """Keep one sample on the scale of comparison."""
        if self.scale not in {"", sample.scale}:
            what = f"Training samples are given as {self.scale} and as {sample.scale}"
            raise TaskError(what, "modality / omics", SEVERAL)
        self.scale = sample.scale
        self.rows.append((self._lists.setdefault(sample.features, len(self._lists)), self._file.tell()))
        self._file.write(comparable(sample.values, sample.scale).tobytes())

    def shared(self) -> list[str]:
        """Features of nearly all samples, in the order in which they were met."""
        lists, counted = list(self._lists), Counter(at for at, _ in self.rows)
        samples: Counter[str] = Counter()
        for at, count in counted.items():
            samples.update(dict.fromkeys(lists[at], count))
        found = [name for name, count in samples.items() if count >= KNOWN_SHARE * len(self.rows)]
        if 2 * len(found) < min(len(one) for one in lists):
            raise TaskError("Training samples share hardly any feature", "modality / omics", SEVERAL)
        return found

    def aligned(self, names: list[str]) -> Iterator[Float32[Array, " feature"]]:
        """Each sample's values of those features, NaN where it has none."""
        lists = list(self._lists)
        places = []
        for one in lists:
            where = {name: at for at, name in enumerate(one)}
            places.append(np.array([where.get(name, len(one)) for name in names]))
        for at, start in self.rows:
            self._file.seek(start)
            row = np.frombuffer(self._file.read(4 * len(lists[at])), np.float32)
            yield np.append(row, np.float32(np.nan))[places[at]]

    def moments(self, names: list[str]) -> tuple[Array, Array, Array]:
        """Mean and variance of each feature over the samples that have it, and how many have it."""
        known, total, squares = (np.zeros(len(names)) for _ in range(3))
        for row in self.aligned(names):
            there = np.isfinite(row)
            x = np.where(there, row, 0.0).astype(np.float64)
            known, total, squares = known + there, total + x, squares + x**2
        n = np.maximum(known, 1)
        return total / n, np.maximum(squares / n - (total / n) ** 2, 0.0), known


def _text(values: Float[Array, "*n"]) -> str:
    """Numbers as a recipe carries them: float32, little endian, base64."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def _array(text: str) -> Float32[Array, " n"]:
    return np.frombuffer(base64.b64decode(text), "<f4")
