"""What any subset of modalities says of the whole case, by a deep Boltzmann machine: for a head, and for retrieval.

In:  `Heard`, and rows of (case, subset). Out: expected states of the hidden layers, of the joint layer, or of a
modality that is not there. A generated modality is a stand-in inside the machine and is never evidence.

What stands for an absent modality: its layers are inferred together with everything else, from what is there (mean
field; Gibbs sampling in `imagined`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self, cast

import numpy as np
from jaxtyping import Bool, Float64, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.colearning.boltzmann.infer import SWEEPS, generate, mean_field
from clinic_mm.colearning.boltzmann.machine import ARRAYS, Given, Machine, Path, Units
from clinic_mm.colearning.boltzmann.units import Kind
from clinic_mm.colearning.boltzmann.views import VIEWS, View
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Cost, State

ROWS_AT_ONCE: Final = 1024
VIEW: Final = "view."


@dataclass(frozen=True, slots=True)
class BoltzmannSpace:
    """A machine and the views that feed it.

    Attributes:
        names: Modalities, in the order of the columns.
        views: One per modality.
        machine: One path per modality.
    """

    names: tuple[str, ...]
    views: tuple[View, ...]
    machine: Machine

    def given(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Given:
        """Visible states of rows; zeros where a modality does not speak."""
        visible = []
        for column, (name, view) in enumerate(zip(self.names, self.views, strict=True)):
            states = np.zeros((len(case), view.width))
            here = present[:, column]
            states[here] = view.states(heard.plain[name][case[here]])
            visible.append(states)
        return Given(tuple(visible), present)

    def points(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float64[Array, "r f"]:
        """Expected states of all hidden layers, the joint layer last."""
        return self._told(heard, case, present, lambda units: np.hstack([*units.first, *units.second, units.joint]))

    def embed(self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"]) -> Float64[Array, "r d"]:
        """The joint layer from -1 to 1; zeros where nobody speaks. See `colearning.embedding`."""
        joint = self._told(heard, case, present, lambda units: 2.0 * units.joint - 1.0)
        joint[~present.any(axis=1)] = 0.0
        return joint

    def imagined(
        self, heard: Heard, case: Int[Array, " r"], present: Bool[Array, "r M"], rng: np.random.Generator
    ) -> Units:
        """Expected states of all units by Gibbs sampling with what is present clamped."""
        return generate(self.machine, self.given(heard, case, present), rng)

    def _told(
        self,
        heard: Heard,
        case: Int[Array, " r"],
        present: Bool[Array, "r M"],
        tell: Callable[[Units], Float64[Array, "r f"]],
    ) -> Float64[Array, "r f"]:
        """What is told of the units of every row, a bounded number of rows at a time; at least one round for shapes."""
        parts = []
        for start in range(0, max(len(case), 1), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            parts.append(tell(mean_field(self.machine, self.given(heard, case[rows], present[rows]))))
        return np.concatenate(parts)

    def to_state(self) -> State:
        """Names and kinds, and all arrays."""
        paths = {f"{m}/{key}": getattr(path, key) for m, path in enumerate(self.machine.paths) for key in ARRAYS}
        views = {f"{m}/{VIEW}{key}": a for m, view in enumerate(self.views) for key, a in view.to_arrays().items()}
        kinds: list[JsonValue] = [view.kind for view in self.views]
        words: list[JsonValue] = [path.length for path in self.machine.paths]
        return {"names": list(self.names), "kinds": kinds, "words": words}, {**paths, **views, "a3": self.machine.a3}

    @classmethod
    def from_state(cls, told: Mapping[str, JsonValue], arrays: Mapping[str, Array]) -> Self:
        """The same again, to the bit."""
        kinds, words = cast(Sequence[Kind], told["kinds"]), cast(Sequence[float], told["words"])
        views, paths = [], []
        for m, (kind, length) in enumerate(zip(kinds, words, strict=True)):
            own = {key.removeprefix(f"{m}/"): np.array(a) for key, a in arrays.items() if key.startswith(f"{m}/")}
            seen = {key.removeprefix(VIEW): a for key, a in own.items() if key.startswith(VIEW)}
            views.append(VIEWS[kind].from_arrays(seen))
            paths.append(Path(kind, length, *(own[key] for key in ARRAYS)))
        names = tuple(cast(Sequence[str], told["names"]))
        return cls(names, tuple(views), Machine(tuple(paths), np.array(arrays["a3"])))

    def cost(self) -> Cost:
        """Weights; multiply-adds of one case with every modality, which the visible layer enters once."""
        below = sum(path.W1.size for path in self.machine.paths)
        above = sum(path.W2.size + path.W3.size for path in self.machine.paths)
        return Cost(sum(a.size for a in self.machine.arrays), below + above * (1 + 2 * SWEEPS))
