"""A space that all modalities share: each has a map into it, and a case is the mean of the views that it has.

In:  `Heard`, and rows of (case, subset). Out: points of the space [r, d]; zeros where nobody speaks.
A map is linear, with a small network beside it where one was fitted (deep CCA, contrast); alone it is CCA's. How the
maps are fitted stands in `training.methods.coordinated`. Only what is present is looked at.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, Self, cast, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue
from torch import Tensor, nn
from torch.nn.functional import normalize

from clinic_mm.fusion.adapters import Features
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import State

FLOOR: Final = 1e-6
"""No expert may be certain: its opinion is kept this far from 0 before the logarithm."""
Source = Literal["plain", "spoken"]


class View(nn.Module):
    """One modality's numbers: standardised summaries, or those of a frozen encoder, with its expert's opinion or not.

    Args:
        name: The modality.
        source: `plain` summaries or what an encoder has `spoken`.
        features: How the numbers are scaled.
        n_opinion: Classes, where the expert's opinion is part of the view; 0 where not.
    """

    def __init__(self, name: str, source: Source, features: Features, n_opinion: int) -> None:
        super().__init__()
        assert source in get_args(Source)
        self.name, self.source, self.features, self.n_opinion = name, source, features, n_opinion

    @property
    def width(self) -> int:
        """Numbers per case."""
        return self.features.n_outputs + self.n_opinion

    def raw(self, heard: Heard, cases: Int[Array, " k"]) -> Float[Tensor, "k p"]:
        """What is scaled, of cases that have the modality."""
        if self.source == "spoken":
            return heard.spoken[self.name].summary[torch.from_numpy(heard.row[self.name][cases])]
        return torch.from_numpy(heard.plain[self.name][cases].astype(np.float32))

    def forward(self, heard: Heard, cases: Int[Array, " k"]) -> Float[Tensor, "k q"]:
        """Numbers of cases that have the modality."""
        cells: Tensor = self.features(self.raw(heard, cases))
        if not self.n_opinion:
            return cells
        opinion = heard.opinions[cases, heard.names.index(self.name)]
        said = np.log(np.maximum(opinion, FLOOR)).astype(np.float32)
        return torch.cat([cells, torch.from_numpy(said - said.mean(axis=1, keepdims=True))], dim=1)


class Projector(nn.Module):
    """From one view into the space: x A + b, and tanh(x W + c) V beside it where there are hidden units."""

    def __init__(self, n_inputs: int, n_hidden: int, dim: int) -> None:
        super().__init__()
        self.n_hidden = n_hidden
        self.straight = nn.Linear(n_inputs, dim)
        bent = (nn.Linear(n_inputs, n_hidden), nn.Tanh(), nn.Linear(n_hidden, dim, bias=False)) if n_hidden else ()
        self.bent = nn.Sequential(*bent)

    def forward(self, x: Float[Tensor, "k q"]) -> Float[Tensor, "k d"]:
        """Points of the space."""
        straight: Tensor = self.straight(x)
        return straight + self.bent(x) if len(self.bent) else straight

    def turn(self, mean: Float[Tensor, " d"], weights: Float[Tensor, "d e"]) -> "Projector":
        """The same map followed by a linear one, (z - mean) weights, as one map."""
        turned = Projector(self.straight.in_features, self.n_hidden, weights.shape[1])
        state = self.state_dict()
        for key in ("straight.weight", "bent.2.weight"):
            if key in state:
                state[key] = weights.T @ state[key]
        state["straight.bias"] = (state["straight.bias"] - mean) @ weights
        turned.load_state_dict(state)
        return turned


class SharedSpace(nn.Module):
    """Views and their projectors, in the order of the modalities.

    Args:
        views: One per modality.
        projectors: One per modality.
        unit: Whether each view's point is brought to unit length before the mean, as contrastive training has it.
    """

    def __init__(self, views: Sequence[View], projectors: Sequence[Projector], *, unit: bool) -> None:
        super().__init__()
        self.views, self.projectors, self.unit = nn.ModuleList(views), nn.ModuleList(projectors), unit

    @property
    def names(self) -> tuple[str, ...]:
        """Modalities, in the order of the columns."""
        return tuple(view.name for view in self._views)

    @property
    def dim(self) -> int:
        """Dimensions of the space."""
        return self._projectors[0].straight.out_features

    @property
    def _views(self) -> list[View]:
        return [cast(View, view) for view in self.views]

    @property
    def _projectors(self) -> list[Projector]:
        return [cast(Projector, projector) for projector in self.projectors]

    def project(self, column: int, cells: Float[Tensor, "k q"]) -> Float[Tensor, "k d"]:
        """Points of one modality's numbers."""
        points: Tensor = self.projectors[column](cells)
        return normalize(points, dim=1) if self.unit else points

    @torch.inference_mode()
    def points(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r d"]:
        """Mean over the views that speak in each row. A view is computed once per case, however often it is asked."""
        self.eval()
        total = np.zeros((len(case), self.dim))
        for column, view in enumerate(self._views):
            rows = np.flatnonzero(present[:, column])
            if len(rows):
                cases, place = np.unique(case[rows], return_inverse=True)
                total[rows] += self.project(column, view(heard, cases)).double().numpy()[place]
        mean: Array = total / np.maximum(present.sum(axis=1), 1)[:, None]
        return mean

    def embed(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float[Array, "r d"]:
        """The same at unit length; see `colearning.embedding`."""
        return unit_length(self.points(heard, case, present))

    def to_state(self) -> State:
        """Shape as JSON, numbers as arrays."""
        told: dict[str, JsonValue] = {
            "unit": self.unit,
            "dim": self.dim,
            "views": [
                {
                    "name": view.name,
                    "source": view.source,
                    "features": list[JsonValue](view.features.shape),
                    "opinion": view.n_opinion,
                    "hidden": projector.n_hidden,
                }
                for view, projector in zip(self._views, self._projectors, strict=True)
            ],
        }
        return told, {key: t.detach().contiguous().numpy().copy() for key, t in self.state_dict().items()}

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same space, to the bit."""
        views, projectors = [], []
        for of in cast(Sequence[Mapping[str, JsonValue]], told["views"]):
            features = Features(*cast(Sequence[int], of["features"]))
            views.append(View(str(of["name"]), cast(Source, of["source"]), features, cast(int, of["opinion"])))
            projectors.append(Projector(views[-1].width, cast(int, of["hidden"]), cast(int, told["dim"])))
        space = cls(views, projectors, unit=bool(told["unit"]))
        space.load_state_dict({key: torch.from_numpy(np.array(a)) for key, a in arrays.items()})
        return space.eval()


def unit_length(points: Float[Array, "r d"]) -> Float[Array, "r d"]:
    """Rows of length 1; a row of zeros stays."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    out: Array = points / np.where(length > 0, length, 1.0)
    return out
