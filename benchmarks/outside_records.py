"""Records in other units than they say: simulated laboratory values, and stays of PhysioNet 2012.

In:  prepared records. Out: how many are caught when all results of one test are in another unit, test by test.
A shift is made on the summaries: last, mean, least and greatest of a test are what they would be, had its results been
written in the other unit; how many there are and how old they are stays. Used by `benchmarks.outside`.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from benchmarks.outside_guarded import Row
from clinic_mm.predict.model import heard_of
from clinic_mm.predict.outside import Outside, attend
from clinic_mm.prep.batch import PreparedCases, Recipe, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.gaps import take
from clinic_mm.prep.record import RecordPrep
from clinic_mm.task import parse_task, read_task
from clinic_mm.training.outside import fit_guard

VALUES: Final = ("last", "mean", "min", "max")
SIMULATED: Final = {
    "glucose, mmol/L as mg/dL (1/18)": ("loinc:2345-7", 1 / 18.016),
    "creatinine, umol/L as mg/dL (88.4)": ("loinc:2160-0", 88.4),
    "haemoglobin, g/L as g/dL (10)": ("loinc:718-7", 10.0),
    "CRP, mg/dL as mg/L (1/10)": ("loinc:1988-5", 0.1),
    "platelets, /uL as 10*3/uL (1000)": ("loinc:777-3", 1000.0),
}
REAL: Final = {
    "glucose, mmol/L as mg/dL (1/18)": ("Glucose", 1 / 18.016),
    "creatinine, umol/L as mg/dL (88.4)": ("Creatinine", 88.4),
    "albumin, g/L as g/dL (10)": ("Albumin", 10.0),
    "bilirubin, umol/L as mg/dL (17.1)": ("Bilirubin", 17.1),
    "urea nitrogen, mmol/L as mg/dL (0.357)": ("BUN", 0.357),
    "lactate, mg/dL as mmol/L (9.01)": ("Lactate", 9.01),
    "magnesium, mg/dL as mmol/L (2.43)": ("Mg", 2.43),
    "platelets, /uL as 10*3/uL (1000)": ("Platelets", 1000.0),
    "haematocrit, fraction as % (1/100)": ("HCT", 0.01),
    "PaO2, kPa as mmHg (1/7.5)": ("PaO2", 1 / 7.5),
}
SI: Final = ("glucose", "creatinine", "albumin", "bilirubin", "urea")
"""What a laboratory that reports in SI units would change together."""


def simulated_records(cases: int, alarms: float, seed: int) -> list[Row]:
    """Simulate, ingest and prepare records alone; learn from two thirds."""
    from clinic_mm.cohort.ingest import ingest
    from clinic_mm.cohort.public import public_key
    from clinic_mm.simulate.cohort import write_cohort

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        write_cohort(place / "files", cases=cases, seed=seed, rate=0.0, modalities=("record",))
        cohort = ingest(place / "files", place / "cohort", key=public_key(place / "key"))
        task = parse_task({"target": "label", "modalities": ["record"]})
        every = cohort.cases("label")
        half = 2 * len(every) // 3
        recipe = fit_preps(every[:half], cohort.roots, plan_recipe(task))
        prepared = prepare_cases(every, cohort.roots, recipe)
    return _rows("simulated", recipe, prepared, "record", half, SIMULATED, alarms, seed)


def stays(data: Path, work: Path, alarms: float, seed: int) -> list[Row]:
    """Laboratory values of PhysioNet 2012: learn from one half of the stays, score the other."""
    from clinic_mm.prep.cache import open_cache
    from pipelines.icu_mortality import HERE, cohort_of

    cohort, task = cohort_of(data, work), read_task(HERE / "icu_mortality.task.toml")
    every = cohort.cases(task.target)
    recipe = fit_preps(every[: len(every) // 2], cohort.roots, plan_recipe(task))
    prepared = prepare_cases(every, cohort.roots, recipe, cache=open_cache(work / "cache", 20.0, verify=False))
    return _rows("PhysioNet 2012", recipe, prepared, "labs", len(every) // 2, REAL, alarms, seed)


def _rows(
    where: str,
    recipe: Recipe,
    prepared: PreparedCases,
    name: str,
    half: int,
    shifts: dict[str, tuple[str, float]],
    alarms: float,
    seed: int,
) -> list[Row]:
    prep = recipe.preps[name]
    assert isinstance(prep, RecordPrep), "units are of records"
    order = np.random.default_rng(seed).permutation(len(prepared))
    train, held = take(prepared, order[:half]), take(prepared, order[half:])
    guard = fit_guard(prep, train, name, alarms, seed)
    assert not isinstance(guard, str), guard
    outside = Outside({name: guard})

    def caught(cases: PreparedCases, which: Bool[Array, " n"]) -> tuple[int, int]:
        heard = heard_of(cases, np.full((*cases.present.shape, 2), 0.5), {})
        after = attend(outside, recipe, cases, heard).prepared.present[:, cases.names.index(name)]
        return int((~after[which]).sum()), int(which.sum())

    there = held.present[:, held.names.index(name)]
    rows: list[Row] = [("good record: false alarm", where, *caught(held, there))]
    together = held
    for words, (code, factor) in shifts.items():
        shifted, has = _shifted(prep, held, name, code, factor)
        rows.append((words, where, *caught(shifted, has)))
        if words.startswith(SI):
            together, _ = _shifted(prep, together, name, code, factor)
    si = [code for words, (code, _) in shifts.items() if words.startswith(SI)]
    any_of = np.any([_shifted(prep, held, name, code, 1.0)[1] for code in si], axis=0)
    rows.append(("all of a laboratory in SI units", where, *caught(together, any_of)))
    return rows


def _shifted(
    prep: RecordPrep, prepared: PreparedCases, name: str, code: str, factor: float
) -> tuple[PreparedCases, Bool[Array, " n"]]:
    """All results of one test times a factor, and which cases have any."""
    cells = [(f, prep.summaries[cell] if f.how == "number" else "") for f in prep.features for cell in prep.cells(f)]
    columns = [k for k, (f, summary) in enumerate(cells) if f.code == code and summary in VALUES]
    plain = prepared.plain[name].copy()
    plain[:, columns] *= factor
    has = np.isfinite(plain[:, columns]).any(axis=1) if columns else np.zeros(len(plain), bool)
    return replace(prepared, plain={**prepared.plain, name: plain}), has
