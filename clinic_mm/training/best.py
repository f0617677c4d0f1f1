"""The weights that served held patients best, and when to stop waiting for better ones.

In:  the loss of held patients after some steps. Out: the best weights. Source: early stopping, Prechelt 1998, "Early
Stopping - But When?", doi:10.1007/3-540-49430-8_3.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy import ndarray as Array
from torch import Tensor, nn

HELD_SHARE: Final = 0.15
FEWEST_TO_HOLD: Final = 60
"""Patients below which none is kept aside."""
LOOKS: Final = 10
"""How often the held patients are asked during a fit."""


def held_patients(patients: Array, generator: np.random.Generator) -> Array:
    """The patients kept aside; none where there are few."""
    names = np.unique(patients)
    n_held = int(HELD_SHARE * len(names)) if len(names) >= FEWEST_TO_HOLD else 0
    return generator.permutation(names)[:n_held]


class Best:
    """The best so far."""

    def __init__(self) -> None:
        self.loss, self.step, self.waited = float("inf"), 0, 0
        self.weights: dict[str, Tensor] = {}

    def saw(self, loss: float, step: int, module: nn.Module) -> None:
        """One look."""
        self.waited += 1
        if loss < self.loss:
            self.loss, self.step, self.waited = loss, step, 0
            self.weights = {key: t.clone() for key, t in module.state_dict().items()}

    def take(self, module: nn.Module) -> bool:
        """Go back to the best weights; whether there are any."""
        if self.weights:
            module.load_state_dict(self.weights)
        return bool(self.weights)

    def state_dict(self) -> Mapping[str, Any]:
        """All of it."""
        return {"loss": self.loss, "step": self.step, "waited": self.waited, "weights": self.weights}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Be as it was."""
        self.loss, self.step, self.waited = state_dict["loss"], state_dict["step"], state_dict["waited"]
        self.weights = dict(state_dict["weights"])
