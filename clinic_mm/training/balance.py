"""Watch what each modality can do alone inside a network, and how much it is used, while the network learns.

In:  at each look, the network's answers for the held patients: with all they have, with one modality, without one.
Out: a log as JSON, warnings in words, and modalities to freeze.

    skill_m = AUROC of v({m})                    beside the AUROC of the modality's own expert on the same cases
    use_m   = mean over cases of TV( v(S), v(S - {m}) )      0: dropping it changes nothing, 1: it changes everything

A modality that had reached its expert and then falls below it is overfitted: it is frozen, the others go on learning.
One that never gets there is lazy, which more training of the same kind does not mend: that is said in a warning.
"Below" is 0.02 or more by a paired bootstrap over patients that leaves out 0, two looks in a row: no chance dip.

Source: that modalities of one network learn at different speeds, and that one network's answer by modality shows it:
Peng, Wei, Deng, Wang and Hu, "Balanced Multimodal Learning via On-the-fly Gradient Modulation" (OGM-GE), CVPR 2022,
arXiv 2203.15332. Their remedy scales gradients by the discrepancy; ours stops them.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.evaluate.bootstrap import paired_interval
from clinic_mm.evaluate.metrics import auroc

LEVEL: Final = 0.9
"""Of the paired interval: "below" is wrong once in twenty looks."""
DRAWS: Final = 200
MARGIN: Final = 0.02
"""A smaller loss of AUROC is not worth a word."""
PATIENCE: Final = 2
"""Looks in a row."""

Answer = Callable[[Int[Array, " r"], Bool[Array, "r M"]], Float[Array, "r C"]]
"""Probabilities of subsets: row r is held case `case[r]` with only `present[r]` speaking."""


@dataclass(frozen=True, slots=True)
class Held:
    """The patients whom the network does not learn from, and what the experts say of them."""

    names: tuple[str, ...]
    labels: Int[Array, " h"]
    patients: Array
    present: Bool[Array, "h M"]
    opinions: Float[Array, "h M C"]


@dataclass(slots=True)
class _Course:
    """One modality over the looks at which it could be judged."""

    expert: float = float("nan")
    steps: list[int] = field(default_factory=list)
    skill: list[float] = field(default_factory=list)
    below: list[bool] = field(default_factory=list)
    frozen_at: int | None = None

    def reached(self, looks: int) -> bool:
        """Whether it was ever as good as its expert."""
        return not all(self.below[:looks])

    def still_below(self, looks: int) -> bool:
        """At the last looks in a row."""
        return looks > 0 and all(self.below[max(0, looks - PATIENCE) : looks])


class Watch:
    """Looks at a network now and then. `freeze` is called with a modality's name, once."""

    def __init__(self, held: Held, freeze: Callable[[str], None]) -> None:
        self.held, self.freeze = held, freeze
        self.courses = {name: _Course() for name in held.names}
        self.looks: list[JsonValue] = []

    def look(self, step: int, answer: Answer) -> None:
        """Ask once for everything, note, and freeze what has fallen."""
        asked = self._asked()
        said = answer(np.concatenate([case for case, _ in asked]), np.concatenate([of for _, of in asked]))
        whole, *parts = np.split(said, np.cumsum([len(case) for case, _ in asked])[:-1])
        skill, use = {}, {}
        for column, name in enumerate(self.held.names):
            skill[name] = self._judged(step, column, parts[2 * column])
            cases, _ = asked[2 + 2 * column]
            apart = 0.5 * np.abs(whole[cases] - parts[2 * column + 1]).sum(axis=1)
            use[name] = float(apart.mean()) if len(cases) else float("nan")
            course = self.courses[name]
            n = len(course.below)
            if course.frozen_at is None and course.reached(n) and course.still_below(n):
                course.frozen_at = step
                self.freeze(name)
        self.looks.append({"step": step, "skill": _rounded(skill), "use": _rounded(use)})

    def state_dict(self) -> Mapping[str, Any]:
        """All looks so far."""
        return {"looks": self.looks, "courses": {name: asdict(course) for name, course in self.courses.items()}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on watching; what was frozen is frozen again."""
        self.looks = list(state_dict["looks"])
        self.courses = {name: _Course(**told) for name, told in state_dict["courses"].items()}
        for name, course in self.courses.items():
            if course.frozen_at is not None:
                self.freeze(name)

    def _asked(self) -> list[tuple[Int[Array, " r"], Bool[Array, "r M"]]]:
        """Cases as they are; then for each modality those with it alone, and those that have more without it."""
        present = self.held.present
        asked = [(np.arange(len(present)), present)]
        for column in range(len(self.held.names)):
            just = np.arange(len(self.held.names)) == column
            has, more = present[:, column], present.sum(axis=1) > 1
            asked.append((np.flatnonzero(has), np.tile(just, (has.sum(), 1))))
            asked.append((np.flatnonzero(has & more), present[has & more] & ~just))
        return asked

    def _judged(self, step: int, column: int, network: Float[Array, "k C"]) -> float:
        held, course = self.held, self.courses[self.held.names[column]]
        cases = np.flatnonzero(held.present[:, column])
        labels, patients, expert = held.labels[cases], held.patients[cases], held.opinions[cases, column]
        if len(np.unique(labels)) < 2:
            return float("nan")
        gap = paired_interval(auroc, expert, network, labels, patients, n=DRAWS, seed=step, level=LEVEL)
        course.expert = auroc(expert, labels)
        course.steps.append(step)
        course.skill.append(auroc(network, labels))
        course.below.append(gap.low > 0 and gap.estimate > MARGIN)
        return course.skill[-1]

    def told(self, deployed: int) -> JsonValue:
        """All looks, and how each modality stands at the step whose weights are deployed."""
        standing = {name: _standing(course, deployed) for name, course in self.courses.items()}
        warnings = [_warning(name, said) for name, said in standing.items() if said["state"] in WARNED]
        told = {name: dict[str, JsonValue](said) for name, said in standing.items()}
        return {"looks": self.looks, "deployed_step": deployed, "modalities": dict(told), "warnings": [*warnings]}


WARNED: Final = {
    "frozen": "fell below its own expert and was frozen at step {frozen_at}",
    "fell": "fell below its own expert",
    "lazy": "never came up to its own expert; experts or a hybrid will use it better",
}


def _standing(course: _Course, deployed: int) -> dict[str, str | float | int | None]:
    n = sum(step <= deployed for step in course.steps)
    frozen = course.frozen_at is not None and course.frozen_at <= deployed
    state = "even" if n else "not judged"
    if frozen:
        state = "frozen"
    elif course.still_below(n):
        state = "fell" if course.reached(n) else "lazy"
    skill, expert = (_short(course.skill[n - 1]), _short(course.expert)) if n else (None, None)
    return {"state": state, "skill": skill, "expert": expert, "frozen_at": course.frozen_at if frozen else None}


def _warning(name: str, said: Mapping[str, str | float | int | None]) -> str:
    how = WARNED[str(said["state"])].format(**said)
    return f"{name} {how} (AUROC {said['skill']} inside the network, {said['expert']} by its expert)"


def _rounded(values: Mapping[str, float]) -> dict[str, JsonValue]:
    return {name: _short(value) for name, value in values.items()}


def _short(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None
