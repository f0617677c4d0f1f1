"""The step loop of every network that is fitted here: draw, loss, backward, clip, step.

In:  a network with its optimiser, what draws a batch, the loss of a batch, what the result depends on. Out: the fitted
network, the same bits whether the fit was killed at any step and gone on with, or never.

Kept in each state (see `training.resume`): weights, moments of the optimiser, learning rate, generators of torch and
numpy, the order of rows, and what the fit remembers beside (`more`). A loss or gradient that is not finite stops the
fit before it reaches a weight.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np
import torch
from pydantic import JsonValue
from torch import Tensor, nn

from clinic_mm.errors import StoppedError
from clinic_mm.training.resume import Part, current

CLIP_NORM: Final = 1.0
TOLD: Final = 20
"""Points of the loss curve in the log."""
B = TypeVar("B")


class Stateful(Protocol):
    """Something whose state travels with the fit's."""

    def state_dict(self) -> Mapping[str, Any]:
        """Tensors, arrays and JSON."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object:
        """Be as it was."""


class Memory(dict[str, Any]):
    """What a fit remembers from step to step, such as the order of rows."""

    def state_dict(self) -> Mapping[str, Any]:
        """All of it."""
        return self

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Be as it was."""
        self.clear()
        self.update(state_dict)


@dataclass(slots=True)
class Fit(Generic[B]):
    """One fit of a network.

    Attributes:
        part: Where its state is kept.
        module: Whose weights are fitted, and whose gradients are clipped together.
        optimiser: Holds the parameters.
        draw: The next batch.
        loss: Of a batch, one number.
        schedule: Of the learning rate; constant if None.
        generator: That `draw` and `loss` draw from.
        more: Whatever else changes from step to step, by name.
        after: Told after each step how many are done; True ends the fit.
    """

    part: Part
    module: nn.Module
    optimiser: torch.optim.Optimizer
    draw: Callable[[], B]
    loss: Callable[[B], Tensor]
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    generator: np.random.Generator | None = None
    more: Mapping[str, Stateful] = field(default_factory=dict)
    after: Callable[[int], bool] | None = None


def descend(fit: Fit[B], steps: int) -> None:
    """Do the steps that are left.

    Raises:
        StoppedError: If a loss or gradient is not finite, or the disk is full; the last good state is kept.
    """
    kept = fit.part.kept()
    course = _Course(fit, steps) if kept is None else _Course.again(fit, steps, kept)
    fit.module.train()
    while course.done < steps and not course.over:
        course.step()
        if course.due():
            course.keep()
    course.end()


class _Course(Generic[B]):
    """How far a fit is."""

    def __init__(self, fit: Fit[B], steps: int) -> None:
        self.fit, self.steps = fit, steps
        self.done, self.over = 0, False
        self.begun = self.first = self.kept_at = time.monotonic()
        self.began_at, self.model_s, self.last_loss = 0, 0.0, float("nan")

    @classmethod
    def again(cls, fit: Fit[B], steps: int, kept: Mapping[str, Any]) -> "_Course[B]":
        """Where an earlier run was."""
        course = cls(fit, steps)
        _restore(fit, kept)
        course.done, course.over = int(kept["done"]), bool(kept["over"])
        course.began_at = course.done
        told = "taken again" if course.done >= steps or course.over else "goes on"
        current().tell(told, {"part": fit.part.label, "step": course.done, "steps": steps})
        return course

    def step(self) -> None:
        fit = self.fit
        before = _drawn_from(fit)
        batch = fit.draw()
        started = time.perf_counter()
        fit.optimiser.zero_grad()
        loss = fit.loss(batch)
        if not torch.isfinite(loss):
            raise self._not_finite("loss", before)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(fit.module.parameters(), CLIP_NORM)
        if not torch.isfinite(norm):
            raise self._not_finite("gradient", before)
        fit.optimiser.step()
        if fit.schedule is not None:
            fit.schedule.step()
        self.model_s += time.perf_counter() - started
        self.done, self.last_loss = self.done + 1, float(loss.detach())
        if self.done % max(1, self.steps // TOLD) == 0:
            current().tell("step", {"part": fit.part.label, "step": self.done, "loss": self.last_loss})
        if fit.after is not None:
            self.over = fit.after(self.done)
            fit.module.train()

    def due(self) -> bool:
        return time.monotonic() - self.kept_at >= current().every_s

    def keep(self, drawn_from: Mapping[str, Any] | None = None) -> None:
        if self.fit.part.path is not None:
            drawn_from = _drawn_from(self.fit) if drawn_from is None else drawn_from
            self.fit.part.keep({"done": self.done, "over": self.over, **_state(self.fit), **drawn_from})
            self.kept_at = time.monotonic()

    def end(self) -> None:
        if self.done == self.began_at:
            return
        self.keep()
        told: dict[str, JsonValue] = {
            "part": self.fit.part.label,
            "steps": self.done - self.began_at,
            "seconds": round(time.monotonic() - self.begun, 3),
            "model_seconds": round(self.model_s, 3),
            "loss": self.last_loss,
        }
        current().tell("fitted", told)

    def _not_finite(self, what: str, before: Mapping[str, Any]) -> StoppedError:
        """Weights and moments are those of the last good step: they are kept, with what this step's batch came from."""
        self.keep(before)
        place = f"{self.fit.part.label} / step {self.done + 1} of {self.steps}"
        mend = 'Lower [train] learning_rate, or leave precision at "float32"; nothing was saved from this step'
        return StoppedError(f"The {what} of a network is not finite", place, mend)


def _state(fit: Fit[B]) -> dict[str, Any]:
    optimiser = fit.optimiser.state_dict()
    return {
        "module": fit.module.state_dict(),
        "optimiser": {"state": optimiser["state"], "param_groups": optimiser["param_groups"]},
        "schedule": None if fit.schedule is None else fit.schedule.state_dict(),
    }


def _drawn_from(fit: Fit[B]) -> dict[str, Any]:
    """What drawing a batch, and its loss, will change. Networks here have no running statistics (see `encoders`)."""
    return {
        "torch": torch.get_rng_state(),
        "numpy": None if fit.generator is None else fit.generator.bit_generator.state,
        "more": {name: dict(one.state_dict()) for name, one in fit.more.items()},
    }


def _restore(fit: Fit[B], kept: Mapping[str, Any]) -> None:
    fit.module.load_state_dict(kept["module"])
    for name, one in fit.more.items():
        one.load_state_dict(kept["more"][name])
    optimiser = kept["optimiser"]
    groups = [{**group, "betas": tuple(group["betas"])} for group in optimiser["param_groups"]]
    fit.optimiser.load_state_dict({"state": {int(k): v for k, v in optimiser["state"].items()}, "param_groups": groups})
    if fit.schedule is not None:
        fit.schedule.load_state_dict(kept["schedule"])
    if fit.generator is not None:
        fit.generator.bit_generator.state = kept["numpy"]
    torch.set_rng_state(kept["torch"])
