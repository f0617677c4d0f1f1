"""Where a case's evidence lies among the training cases, in a few numbers per modality that drift is watched by.

In:  plain summaries. Out: for each present modality GIST: positions on a few principal axes in training standard
deviations, how much the axes do not tell, and the share of parameters that were not measured.

Too few and too coarse to rebuild what was measured. Nothing here fits (`training.drift`) and nothing here decides
whether something has changed (`evaluate.monitor`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.prep.batch import PreparedCases

MOST_AXES: Final = 4
FARTHEST: Final = 30.0
"""Standard deviations at which a summary is cut off: one broken value must not hide all others."""
DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Gist:
    """The projection of one modality's plain summaries.

    Attributes:
        centre: Median of each summary.
        scale: Its robust standard deviation.
        axes: Principal axes of the standardised summaries.
        spread: Standard deviation of the training cases along each axis.
    """

    centre: Float[Array, " p"]
    scale: Float[Array, " p"]
    axes: Float[Array, "k p"]
    spread: Float[Array, " k"]

    def __call__(self, plain: Float[Array, "n p"]) -> Float[Array, "n k+2"]:
        """Axes, logarithm of the mean square that they leave over, share of summaries that are missing."""
        z = standardised(plain, self.centre, self.scale)
        along = z @ self.axes.T
        left = np.square(z).sum(axis=1) - np.square(along).sum(axis=1)
        remainder = np.log(np.maximum(left, 0.0) / len(self.centre) + 1e-3)
        gaps = np.isnan(plain).mean(axis=1)
        return np.round(np.column_stack([along / self.spread, remainder, gaps]), DIGITS)


def standardised(
    plain: Float[Array, "n p"], centre: Float[Array, " p"], scale: Float[Array, " p"]
) -> Float[Array, "n p"]:
    """Distance from the centre in robust standard deviations; 0 where nothing was measured."""
    z = (plain - centre) / scale
    cut: Array = np.clip(np.nan_to_num(z, nan=0.0, posinf=FARTHEST, neginf=-FARTHEST), -FARTHEST, FARTHEST)
    return cut


def parts_of(width: int) -> tuple[str, ...]:
    """What the numbers of a gist are called."""
    return (*(f"axis {k + 1}" for k in range(width - 2)), "remainder", "gaps")


@dataclass(frozen=True, slots=True)
class DriftReference:
    """How unseen cases look to a model, as its training shows it.

    Attributes:
        gists: Projection per modality.
        kept: Per modality the gists of training cases; each column sorted by itself, so that no row is a patient.
        logits: Out-of-fold uncalibrated logits, in no order: of each modality alone (then, as 0 or 1, what else the
            case has), and of each pattern as it came.
    """

    gists: Mapping[str, Gist]
    kept: Mapping[str, Float[Array, "n g"]] = field(default_factory=dict)
    logits: Mapping[str, Float[Array, "n w"]] = field(default_factory=dict)

    def to_arrays(self) -> dict[str, Array]:
        """For a safetensors file."""
        arrays: dict[str, Array] = {}
        for name, gist in self.gists.items():
            arrays |= {f"gist/{name}/{key}": getattr(gist, key) for key in Gist.__dataclass_fields__}
        arrays |= {f"kept/{name}": values for name, values in self.kept.items()}
        arrays |= {f"logits/{name}": values for name, values in self.logits.items()}
        return {key: np.ascontiguousarray(arrays[key], dtype=np.float32) for key in sorted(arrays)}


def drift_from(arrays: Mapping[str, Array]) -> DriftReference:
    """What `to_arrays` gave."""
    below = {
        stem: {key.removeprefix(stem): a.astype(float) for key, a in arrays.items() if key.startswith(stem)}
        for stem in ("gist/", "kept/", "logits/")
    }
    names = sorted({key.rpartition("/")[0] for key in below["gist/"]})
    gists = {n: Gist(**{key: below["gist/"][f"{n}/{key}"] for key in Gist.__dataclass_fields__}) for n in names}
    return DriftReference(gists, below["kept/"], below["logits/"])


def drift_scores(reference: DriftReference | None, prepared: PreparedCases) -> list[dict[str, tuple[float, ...]]]:
    """The gist of every present modality of each case; nothing where the model keeps no reference."""
    out: list[dict[str, tuple[float, ...]]] = [{} for _ in range(len(prepared))]
    for column, name in enumerate(prepared.names):
        rows = np.flatnonzero(prepared.present[:, column])
        if reference is None or name not in reference.gists or not len(rows):
            continue
        for row, values in zip(rows, reference.gists[name](prepared.plain[name][rows]).tolist(), strict=True):
            out[row][name] = tuple(values)
    return out
