"""What a method is given to learn from, and the table that finds it by name.

In:  a name, as the task file or `compare` has it. Out: the function that fits it, with its settings.
A method never sees a case outside `rows`, and the opinions it sees of those are out of fold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.bundle import policy
from clinic_mm.colearning.registry import check_colearning
from clinic_mm.errors import TaskError
from clinic_mm.fusion.base import registry
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.joined import Joined
from clinic_mm.modalities import resolve
from clinic_mm.task import Task

DEFAULT = "default"
NETWORK = "clinic_mm.training.methods.network:fit"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a method may learn from.

    Attributes:
        heard: One encoding of all training cases; opinions out of fold.
        labels: Classes.
        patients: Patient of each case: whoever splits further, splits by them.
        prior: Class prior.
        rows: The cases that may be learnt from, each with at least one modality.
        task: What is asked.
        seed: Of everything drawn.
        unlabelled: Further cases without a label (their label is -1): representations and co-learning may learn from
            them, a classifier may not. Often none.
        log: What is worth keeping of the training, by name (JSON); a method adds to it.
    """

    heard: Heard
    labels: Int[Array, " n"]
    patients: Array
    prior: Float[Array, " C"]
    rows: Int[Array, " k"]
    task: Task
    seed: int
    log: dict[str, JsonValue] = field(default_factory=dict)
    unlabelled: Int[Array, " u"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


Fit = Callable[[Lesson, Mapping[str, JsonValue]], Joined]


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    Attributes:
        name: As in task files.
        family: late | fusion | hybrid | co-learning | coordinated | generative | baseline.
        label: As people read it.
        fit: `module:function(lesson, settings) -> Joined`.
        settings: Given to `fit`.
        equation: What is computed, z_m a summary, a_m presence, S who is present.
        paper: Authors, year, DOI or arXiv number.
        absent: What stands for an absent modality.
    """

    name: str
    family: str
    label: str
    fit: str
    equation: str
    paper: str
    absent: str
    settings: Mapping[str, JsonValue] = field(default_factory=dict)

    def learn(self, lesson: Lesson) -> Joined:
        """Fit."""
        fit: Fit = resolve(self.fit)
        return fit(lesson, self.settings)


@cache
def methods() -> Mapping[str, Method]:
    """All methods by name but the default: the table, then fusions of installed packages (`clinic_mm.fusion`)."""
    rows: list[dict[str, Any]] = policy("methods")["method"]
    known = {row["name"]: Method(**row) for row in rows}
    for point in entry_points(group="clinic_mm.fusion"):
        assert point.name in registry()
        known.setdefault(point.name, _added(point.name))
    return known


def method(name: str) -> Method:
    """One row.

    Raises:
        TaskError: For an unknown name, with the nearest name and the list.
    """
    known = methods()
    if name in known:
        return known[name]
    near = get_close_matches(name, [DEFAULT, *known], n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise TaskError(f"Unknown method {name!r}", "fusion.method", f"{hint}Known: {', '.join([DEFAULT, *known])}")


def check_fusion(task: Task) -> None:
    """What a task says of joining can be done: asked before anything is read.

    Raises:
        TaskError: For an unknown method or co-learning, or where there is nothing to join.
    """
    if task.fusion.method != DEFAULT:
        method(task.fusion.method)
        check_joins(task)
    check_colearning(task.fusion.colearning)


def check_joins(task: Task) -> None:
    """Joining needs at least two modalities.

    Raises:
        TaskError: If there is one only.
    """
    if len(task.modalities) < 2:
        mend = "Name two or more; for one alone, leave [fusion] out and use clinic-mm train"
        raise TaskError("There is nothing to join: the task has one modality", "modalities", mend)


def asked_of(task: Task) -> Method | None:
    """The method of a task, None for the default; known before anything is fitted.

    Raises:
        TaskError: As `check_fusion`, and for co-learning with a method that has no network.
    """
    check_fusion(task)
    asked = None if task.fusion.method == DEFAULT else method(task.fusion.method)
    if task.fusion.colearning and (asked is None or asked.fit != NETWORK):
        mend = "Name a fusion network as method, such as perceiver or gated, or leave colearning out"
        raise TaskError(f"Method {task.fusion.method!r} has no network to learn together", "fusion.colearning", mend)
    return asked


def _added(name: str) -> Method:
    return Method(name, "fusion", name, NETWORK, "see its package", "see its package", "masked", {"fusion": name})
