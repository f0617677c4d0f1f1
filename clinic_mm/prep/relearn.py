"""Learn anew, from some of the cases, what preparation learns: so that no split of a study learns from its test cases.

In:  prepared cases, what is learnt from which of them. Out: the same cases, prepared by that, and the recipe.

Only modalities whose prep learns are read again, and only where it learns something else than before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import PrepCache
from clinic_mm.task import Task


@dataclass(frozen=True, slots=True)
class Relearn:
    """Where the evidence is read again.

    Attributes:
        roots: Folder of each root.
        workers: Processes that prepare.
        cache: Of prepared evidence.
    """

    roots: Mapping[str, Path]
    workers: int = 1
    cache: PrepCache | None = None

    def __call__(
        self, prepared: PreparedCases, recipe: Recipe, task: Task, mine: Bool[Array, " n"]
    ) -> tuple[PreparedCases, Recipe]:
        """All cases by a recipe that is learnt from `mine` alone.

        Raises:
            TaskError: If nothing can be learnt from these cases.
        """
        planned = {name: prep for name, prep in plan_recipe(task).preps.items() if prep.learns}
        return self.of(prepared, recipe, Recipe(planned, recipe.select), mine)

    def of(
        self, prepared: PreparedCases, recipe: Recipe, planned: Recipe, mine: Bool[Array, " n"]
    ) -> tuple[PreparedCases, Recipe]:
        """The same for some modalities, with their preps before anything is learnt.

        Raises:
            TaskError: If nothing can be learnt from these cases.
        """
        learnt = fit_preps([prepared.cases[c] for c in np.flatnonzero(mine)], self.roots, planned)
        other = {name: prep for name, prep in learnt.preps.items() if prep.key != recipe.preps[name].key}
        if not other:
            return prepared, recipe
        part = Recipe(other, recipe.select)
        again = prepare_cases(prepared.cases, self.roots, part, workers=self.workers, cache=self.cache)
        return _replaced(prepared, again), Recipe({**recipe.preps, **other}, recipe.select)


def _replaced(prepared: PreparedCases, again: PreparedCases) -> PreparedCases:
    """Prepared cases with the modalities of `again` in the place of their own."""
    present, time_h = prepared.present.copy(), prepared.time_h.copy()
    for column, name in enumerate(again.names):
        at = prepared.names.index(name)
        present[:, at], time_h[:, at] = again.present[:, column], again.time_h[:, column]
    return PreparedCases(
        cases=prepared.cases,
        names=prepared.names,
        x={**prepared.x, **again.x},
        row={**prepared.row, **again.row},
        plain={**prepared.plain, **again.plain},
        present=present,
        time_h=time_h,
        outcomes=tuple({**old, **new} for old, new in zip(prepared.outcomes, again.outcomes, strict=True)),
    )
