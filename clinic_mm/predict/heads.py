"""Turn plain or learned summaries of one modality into class probabilities, in numpy alone.

In:  a table of features, float, missing cells as NaN (an infinity counts as missing), and the arrays of a fitted head.
Out: float64 probabilities [n, C]; rows sum to 1, none is 0, all are finite whatever is missing, even a whole row.

Nothing here fits anything (see `training.heads`), reads a file, or needs scikit-learn. Binary is always two columns.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import ClassVar, Final, Protocol, Self

import numpy as np
from jaxtyping import Float, Float64, Int, UInt8
from numpy import ndarray as Array

from clinic_mm.errors import ArtifactError, InputError

FLOOR: Final = 1e-12
"""Least probability that a head gives, so that a logarithm of it is finite."""

ROWS_AT_ONCE: Final = 512
"""Rows walked through the trees together: bounds the memory of the [rows, trees] index."""


class Head(Protocol):
    """What every head can do."""

    kind: ClassVar[str]

    @property
    def n_classes(self) -> int:
        """Number of columns that `predict` returns."""

    def predict(self, x: Float[Array, "n p"]) -> Float64[Array, "n C"]:
        """Class probabilities of each row.

        Raises:
            InputError: If `x` has not the columns that the head was fitted on.
        """

    def to_arrays(self) -> dict[str, Array]:
        """Everything the head is made of, as plain arrays (safetensors takes them as they are)."""


class _Arrays:
    """Shared by the heads: dataclasses whose fields are all arrays, and that travel as such."""

    kind: ClassVar[str]
    __slots__ = ()

    def to_arrays(self) -> dict[str, Array]:
        """Everything the head is made of, by field name, contiguous; without what it does not know."""
        held = {f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        return {name: a for name, a in held.items() if len(a) or name not in self._may_lack()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The head that `to_arrays` came from.

        Raises:
            ArtifactError: If arrays are lacking, surplus, or do not fit each other.
        """
        names = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        if names - cls._may_lack() - set(arrays) or set(arrays) - names:
            raise _damaged(cls.kind, f"it needs {sorted(names)} and has {sorted(arrays)}")
        head = cls(**arrays)
        head._check()
        return head

    @classmethod
    def _may_lack(cls) -> frozenset[str]:
        """Fields that heads of older artifacts do not have."""
        return frozenset(f.name for f in fields(cls) if f.default_factory is not MISSING)  # type: ignore[arg-type]

    def _check(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class PriorHead(_Arrays):
    """Says the same for everyone: how common each class was. The comparator that every head must beat.

    Attributes:
        prior: Probability of each class [C].
    """

    prior: Float64[Array, " C"]
    kind: ClassVar[str] = "prior"

    @property
    def n_classes(self) -> int:
        """Number of columns that `predict` returns."""
        return len(self.prior)

    def predict(self, x: Float[Array, "n p"]) -> Float64[Array, "n C"]:
        """The prior, once per row; what the columns hold is not looked at."""
        return np.tile(_floored(self.prior[None]), (len(x), 1))

    def _check(self) -> None:
        if self.prior.ndim != 1 or len(self.prior) < 2 or not (self.prior >= 0).all() or not self.prior.sum() > 0:
            raise _damaged(self.kind, "prior is no distribution")


@dataclass(frozen=True, slots=True)
class RidgeHead(_Arrays):
    """Multinomial logistic regression on imputed, clipped, standardised features and indicators of missing cells.

    A value outside what training saw is taken as the outermost value training saw.

    Attributes:
        median: What stands in for a missing cell [p].
        low: Least value believed [p].
        high: Greatest value believed [p].
        flagged: Columns whose absence is itself a feature [q], appended after the p values.
        mean: Of the p + q features after imputation and clipping.
        scale: Standard deviation of the same, 1 where a feature is constant.
        coef: Weights of the p + q features [C, p + q], or [1, p + q] for the log-odds of the second of two classes.
        intercept: [C] or [1].
    """

    median: Float64[Array, " p"]
    low: Float64[Array, " p"]
    high: Float64[Array, " p"]
    flagged: Int[Array, " q"]
    mean: Float64[Array, " f"]
    scale: Float64[Array, " f"]
    coef: Float64[Array, "k f"]
    intercept: Float64[Array, " k"]
    kind: ClassVar[str] = "ridge"

    @property
    def n_classes(self) -> int:
        """Number of columns that `predict` returns."""
        return max(2, len(self.intercept))

    def features(self, x: Float[Array, "n p"]) -> Float64[Array, "n f"]:
        """The standardised features that the weights apply to."""
        x = _checked(x, len(self.median), self.kind)
        missing = np.isnan(x)
        filled = np.clip(np.where(missing, self.median, x), self.low, self.high)
        z: Float64[Array, "n f"] = (np.hstack([filled, missing[:, self.flagged]]) - self.mean) / self.scale
        return z

    def predict(self, x: Float[Array, "n p"]) -> Float64[Array, "n C"]:
        """See `Head.predict`."""
        # einsum adds up each row by itself: a row alone and the same row in a batch give the same bits.
        return self.judged(np.einsum("nf,kf->nk", self.features(x), self.coef))

    def judged(self, sums: Float64[Array, "n k"]) -> Float64[Array, "n C"]:
        """Probabilities from weighted features that are added up already."""
        return _probabilities(sums + self.intercept)

    def _check(self) -> None:
        p, f, k = len(self.median), len(self.median) + len(self.flagged), len(self.intercept)
        shapes = (self.low.shape, self.high.shape, self.mean.shape, self.scale.shape, self.coef.shape)
        if shapes != ((p,), (p,), (f,), (f,), (k, f)) or k < 1 or k == 2:
            raise _damaged(self.kind, "its arrays do not fit each other")
        if len(self.flagged) and not (self.flagged.min() >= 0 and self.flagged.max() < p):
            raise _damaged(self.kind, "it flags columns that it has not")
        numbers = (self.median, self.low, self.high, self.mean, self.scale, self.coef, self.intercept)
        if not all(np.isfinite(a).all() for a in numbers) or not (self.scale > 0).all():
            raise _damaged(self.kind, "it holds a number that is not finite, or a scale that is not positive")


@dataclass(frozen=True, slots=True)
class TreeHead(_Arrays):
    """Boosted trees as node arrays, all trees end to end. A leaf is a node that leads to itself.

    Attributes:
        baseline: Raw score before the first tree, [C], or [1] for the log-odds of the second of two classes.
        roots: First node of each tree [T].
        classes: Which raw score each tree adds to [T].
        depth: Greatest number of steps from a root to a leaf [1].
        n_features: Number of columns [1].
        feature: Column that a node asks for [N].
        threshold: A value up to this goes left [N].
        missing_left: 1 where a missing cell goes left [N].
        left: Node number [N].
        right: Node number [N].
        value: What a leaf adds [N].
        cover: Rows that passed each node while the trees were grown [N]; empty where the artifact did not keep it.
    """

    baseline: Float64[Array, " k"]
    roots: Int[Array, " T"]
    classes: Int[Array, " T"]
    depth: Int[Array, " 1"]
    n_features: Int[Array, " 1"]
    feature: Int[Array, " N"]
    threshold: Float64[Array, " N"]
    missing_left: UInt8[Array, " N"]
    left: Int[Array, " N"]
    right: Int[Array, " N"]
    value: Float64[Array, " N"]
    cover: Float64[Array, " N"] = field(default_factory=lambda: np.zeros(0))
    kind: ClassVar[str] = "trees"

    @property
    def n_classes(self) -> int:
        """Number of columns that `predict` returns."""
        return max(2, len(self.baseline))

    def predict(self, x: Float[Array, "n p"]) -> Float64[Array, "n C"]:
        """See `Head.predict`."""
        x = _checked(x, int(self.n_features[0]), self.kind)
        raw = np.tile(self.baseline, (len(x), 1))
        for start in range(0, len(x), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            added = self.value[self._leaves(x[rows])]
            for k in range(len(self.baseline)):
                raw[rows, k] += added[:, self.classes == k].sum(axis=1)
        return _probabilities(raw)

    def _leaves(self, x: Float64[Array, "n p"]) -> Int[Array, "n T"]:
        """The leaf that each row ends in, for each tree: one step of all rows in all trees at a time."""
        node = np.tile(self.roots, (len(x), 1))
        row = np.arange(len(x))[:, None]
        for _ in range(int(self.depth[0])):
            cell = x[row, self.feature[node]]
            go_left = np.where(np.isnan(cell), self.missing_left[node] == 1, cell <= self.threshold[node])
            node = np.where(go_left, self.left[node], self.right[node])
        return node

    def _check(self) -> None:
        n, k = len(self.feature), len(self.baseline)
        per_node = (self.threshold, self.missing_left, self.left, self.right, self.value)
        if any(a.shape != (n,) for a in per_node) or self.roots.shape != self.classes.shape or k < 1 or k == 2:
            raise _damaged(self.kind, "its arrays do not fit each other")
        bounds = ((self.roots, n), (self.left, n), (self.right, n), (self.classes, k))
        limits = (*bounds, (self.feature, int(self.n_features[0])))
        if any(len(a) and not (a.min() >= 0 and a.max() < most) for a, most in limits):
            raise _damaged(self.kind, "a node leads outside the trees")
        if len(self.cover) and not (
            self.cover.shape == (n,) and (self.cover > 0).all() and np.isfinite(self.cover).all()
        ):
            raise _damaged(self.kind, "rows that passed its nodes do not fit them")
        if not np.isfinite(self.value).all() or not np.isfinite(self.baseline).all():
            raise _damaged(self.kind, "it holds a number that is not finite")


HEADS: Final[Mapping[str, type[PriorHead] | type[RidgeHead] | type[TreeHead]]] = {
    head.kind: head for head in (PriorHead, RidgeHead, TreeHead)
}


def from_arrays(kind: str, arrays: Mapping[str, Array]) -> Head:
    """The head that `to_arrays` came from, checked.

    Args:
        kind: `prior`, `ridge` or `trees`, as the head's own `kind`.
        arrays: As `to_arrays` gave them.

    Raises:
        ArtifactError: For an unknown kind, or arrays that are lacking, surplus, or do not fit each other.
    """
    if kind not in HEADS:
        raise ArtifactError(
            f"Unknown kind of head {kind!r}", "head", f"Known: {', '.join(HEADS)}. Train the model again"
        )
    return HEADS[kind].from_arrays(arrays)


def _checked(x: Float[Array, "n p"], n_features: int, kind: str) -> Float64[Array, "n p"]:
    """The table as float64 with every non-finite cell as NaN."""
    if x.ndim != 2 or x.shape[1] != n_features:
        what = f"The features have shape {list(x.shape)}, the head was fitted on {n_features} columns"
        raise InputError(what, f"{kind} head", "Compute the features with the recipe of this model")
    x = x.astype(np.float64)
    x[~np.isfinite(x)] = np.nan
    return x


def _probabilities(raw: Float64[Array, "n k"]) -> Float64[Array, "n C"]:
    """Softmax of the raw scores; one column is the log-odds of the second of two classes."""
    if raw.shape[1] == 1:
        raw = np.hstack([np.zeros_like(raw), raw])
    grown = np.exp(raw - raw.max(axis=1, keepdims=True))
    return _floored(grown / grown.sum(axis=1, keepdims=True))


def _floored(p: Float64[Array, "n C"]) -> Float64[Array, "n C"]:
    p = np.maximum(p, FLOOR)
    floored: Float64[Array, "n C"] = p / p.sum(axis=1, keepdims=True)
    return floored


def _damaged(kind: str, why: str) -> ArtifactError:
    return ArtifactError(f"A {kind} head is damaged: {why}", "head", "Train the model again, or fetch its folder again")
