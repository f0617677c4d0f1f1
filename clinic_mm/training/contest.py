"""One split of a comparison: the experts once, then every method on them; each answers the same test cases.

In:  prepared training and test cases of disjoint patients, recipe, task. Out: for each method a frame of answers and
what it cost. Every method is fitted, calibrated and asked by the same code as `clinic-mm train`.

Each method answers every subset of what each test case has (up to 64 sampled ones beyond 8 modalities), and the cases
with parameters of their records dropped at each rate. Which modalities are dropped is looked up among the subsets.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.cohort.split import check_disjoint
from clinic_mm.errors import TaskError
from clinic_mm.evaluate.compared_answers import PARAMETERS, SUBSET
from clinic_mm.evaluate.missingness import RATES
from clinic_mm.evaluate.table import SINGLE
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import subsets
from clinic_mm.predict.model import Model, listen_to, subset_probabilities
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.prep.gaps import parameters
from clinic_mm.task import Task
from clinic_mm.training.crossval import without_parameters
from clinic_mm.training.fit import fit_default, fit_method
from clinic_mm.training.learnt import Learnt, Say, learn, silent
from clinic_mm.training.memory import peak_mib, reset_peak
from clinic_mm.training.methods.base import DEFAULT, method

PRIOR: Final = "prior"
SHARED: Final = "experts"
FAILED: Final = "failed"
"""Told of a method that ended with an error of ours: shown, and tried again in the next run."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one method did on one split.

    Attributes:
        name: Of the method.
        answers: Columns kind, rate, case, pattern, p_*, and set_* (NaN where a method gives no sets).
        told: Seconds, peak memory, parameters, multiply-adds, verdict, log; or why it was refused.
    """

    name: str
    answers: pd.DataFrame
    told: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Asked:
    """Test cases as they are asked for: every subset, and the cases with less or worse evidence.

    Attributes:
        prepared: Test cases.
        case: Case of each subset row.
        present: Who speaks in each subset row.
        worse: The same cases with something taken away or disturbed: (kind, rate) to cases.
    """

    prepared: PreparedCases
    case: Int[Array, " r"]
    present: Bool[Array, "r M"]
    worse: Mapping[tuple[str, float], PreparedCases] = field(default_factory=dict)


def ask(
    test: PreparedCases, recipe: Recipe, seed: int, worse: Mapping[tuple[str, float], PreparedCases] | None = None
) -> Asked:
    """Every subset of every test case, parameters dropped at the rates of METHODS §5, and what is worse otherwise."""
    masks = [subsets(row, seed=index) for index, row in enumerate(test.present)]
    case = np.repeat(np.arange(len(test)), [len(m) for m in masks])
    disturbed = dict(worse or {})
    if any(parameters(prep) for prep in recipe.preps.values()):
        disturbed |= {(PARAMETERS, r): without_parameters(test, recipe, r, seed) for r in RATES if r > 0}
    return Asked(test, case, np.concatenate([*masks, np.zeros((0, len(test.names)), bool)]), disturbed)


class Contest:
    """One split. Methods are asked one by one, so that a run can stop and go on."""

    def __init__(
        self,
        train: PreparedCases,
        asked: Asked,
        recipe: Recipe,
        task: Task,
        say: Say = silent,
        unlabelled: PreparedCases | None = None,
    ) -> None:
        check_disjoint(train.patients.tolist(), asked.prepared.patients.tolist())
        self.asked, self.recipe, self.task, self.say = asked, recipe, task, say
        started = time.perf_counter()
        self.learnt: Learnt = learn(train, recipe, task, say, unlabelled)
        self.learnt.beside(say)
        self.learnt.refit(networks=self.learnt.reads_networks, say=say)
        self.shared_s = time.perf_counter() - started
        self._heard: dict[tuple[int, str, float], Heard] = {}

    def experts(self) -> Entry:
        """Each modality alone, and the prior."""
        experts = self.learnt.refit(networks=self.learnt.reads_networks).experts
        prior = self.learnt.table.prior
        frames = []
        for kind, rate, prepared, case, present in self._rounds():
            heard = self._listen(experts, kind, rate, prepared)
            frames.append(
                _frame(kind, rate, prepared, case, present, np.tile(prior, (len(case), 1))).assign(method=PRIOR)
            )
            for column, name in enumerate(prepared.names):
                p = np.where(present[:, [column]], heard.opinions[case, column], prior)
                frames.append(_frame(kind, rate, prepared, case, present, p).assign(method=f"{SINGLE}{name}"))
        told: dict[str, JsonValue] = {
            "seconds": self.shared_s,
            "how": {name: fitted.best for name, fitted in self.learnt.fitted.items()},
            "nll_out_of_fold": {n: float(f.nll[f.best]) for n, f in self.learnt.fitted.items()},
        }
        return Entry(SHARED, pd.concat(frames, ignore_index=True), told)

    def enter(self, name: str) -> Entry:
        """Fit one method and let it answer; a method that cannot do this task is told with its reason."""
        learnt = self.learnt.asked(
            self.task.model_copy(update={"fusion": self.task.fusion.model_copy(update={"method": name})})
        )
        reset_peak()
        before, started = peak_mib(), time.perf_counter()
        try:
            model = fit_default(learnt, self.say) if name == DEFAULT else fit_method(learnt, method(name), self.say)
        except TaskError as error:
            return Entry(name, pd.DataFrame(), {"refused": str(error)})
        except Exception as error:  # noqa: BLE001 - one method's fault must not cost the others their night
            return Entry(name, pd.DataFrame(), {FAILED: True, "refused": f"our fault: {type(error).__name__}"})
        fitted_s = time.perf_counter() - started
        started = time.perf_counter()
        frame = pd.concat([self._answers(model, *one) for one in self._rounds()], ignore_index=True)
        told: dict[str, JsonValue] = {
            "seconds": fitted_s,
            "seconds_answering": time.perf_counter() - started,
            "peak_mib": peak_mib() - before,
            "cost": model.facts.get("cost") or _default_cost(model),
            "verdict": model.facts["verdict"],
            "log": model.facts.get("log"),
        }
        return Entry(name, frame.assign(method=name), told)

    def _rounds(self) -> Iterator[tuple[str, float, PreparedCases, Array, Array]]:
        """What is asked: all subsets of the cases as they are, then the cases with less."""
        asked = self.asked
        yield SUBSET, 0.0, asked.prepared, asked.case, asked.present
        for (kind, rate), prepared in asked.worse.items():
            yield kind, rate, prepared, np.arange(len(prepared)), prepared.present

    def _answers(
        self, model: Model, kind: str, rate: float, prepared: PreparedCases, case: Array, present: Array
    ) -> pd.DataFrame:
        heard = self._listen(model.experts, kind, rate, prepared)
        p = subset_probabilities(model, heard, case, present)
        return _frame(kind, rate, prepared, case, present, p, model.thresholds.sets(p, present))

    def _listen(self, experts: tuple[object, ...], kind: str, rate: float, prepared: PreparedCases) -> Heard:
        """Experts are asked once, whatever the number of methods that rest on them."""
        key = (id(experts), kind, rate)
        if key not in self._heard:
            live = self.task.fusion.learning == "joint"
            self._heard[key] = listen_to(experts, self.learnt.table.prior, prepared, live=live)  # type: ignore[arg-type]
        return self._heard[key]


def _frame(
    kind: str,
    rate: float,
    prepared: PreparedCases,
    case: Int[Array, " r"],
    present: Bool[Array, "r M"],
    p: Array,
    sets: Array | None = None,
) -> pd.DataFrame:
    names = np.array(prepared.names)
    masks, which = np.unique(present, axis=0, return_inverse=True)
    words = np.array(["+".join(sorted(names[mask])) for mask in masks], dtype=object)
    held = np.full(p.shape, np.nan) if sets is None else sets
    columns = {f"p_{c}": p[:, c].astype(np.float32) for c in range(p.shape[1])}
    columns |= {f"set_{c}": held[:, c].astype(np.float32) for c in range(p.shape[1])}
    return pd.DataFrame({"kind": kind, "rate": rate, "case": case, "pattern": words[which.reshape(-1)], **columns})


def _default_cost(model: Model) -> dict[str, JsonValue]:
    """Of pool and residual; the head over everything is counted by its numbers."""
    residual = sum(p.numel() for p in model.residual.parameters()) if model.residual else 0
    head = sum(a.size for a in model.concat.to_arrays().values()) if model.share else 0
    M, C = len(model.names), len(model.task.classes)
    return {"parameters": residual + head + 2 * M, "multiply_adds": M * C + residual + head}
