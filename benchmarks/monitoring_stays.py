"""Monitoring on real stays of PhysioNet 2012: quiet in random order, and a change of units that is planted.

    python -m benchmarks.monitoring_stays --page docs/trust.md

1,500 stays are learnt from; of the rest 1,000 are the reference and 1,500 the stream, in ten random orders. Then
glucose comes in mmol/L instead of mg/dL from the middle of the stream on.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray as Array

from benchmarks.section import write_section
from benchmarks.streams import fitted, labels_of, reference_of_stream, stream_of_prepared
from clinic_mm.evaluate.monitor.outcomes import Outcomes
from clinic_mm.evaluate.monitor.policy import read_policy
from clinic_mm.evaluate.monitor.scores import Stream
from clinic_mm.evaluate.monitor.watch import watch_stream
from clinic_mm.evaluate.page import markdown
from clinic_mm.prep.batch import PreparedCases, fit_preps, plan_recipe, prepare_cases
from clinic_mm.prep.cache import open_cache
from clinic_mm.prep.record import RecordPrep
from clinic_mm.task import read_task
from clinic_mm.training.train import training_cases
from pipelines.icu_mortality import DATA, HERE, cohort_of

TRAINED, REFERENCE, WATCHED = 1500, 1000, 1500
ORDERS: Final = 10
MG_DL_PER_MMOL_L: Final = 18.016
"""Of glucose: its molar mass is 180.16 g/mol."""
NO_UNIT: Final = ("log count", "age h")
"""Summaries that do not carry the unit of what was measured."""


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=HERE.parent / "runs" / "icu_mortality")
    parser.add_argument("--cache", type=Path, default=HERE.parent / "runs" / "icu_mortality" / "cache")
    given = parser.parse_args()
    cohort, task = cohort_of(given.data, given.work), read_task(HERE / "icu_mortality.task.toml")
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, cache=open_cache(given.cache, 20.0, verify=False))
    order = np.random.default_rng(0).permutation(len(prepared))
    model = fitted(part(prepared, order[:TRAINED]), task, recipe)
    labs = recipe.preps["labs"]
    assert isinstance(labs, RecordPrep)
    codes = [f.code for f in labs.features for _ in labs.cells(f)]
    valued = [not name.endswith(NO_UNIT) for name in labs.plain_names]
    glucose = np.array([code.endswith("Glucose") for code in codes]) & np.array(valued)
    assert glucose.any(), "glucose stands among the labs"
    rows = []
    for number in range(ORDERS):
        held = np.random.default_rng(1000 + number).permutation(order[TRAINED:])[: REFERENCE + WATCHED]
        known = reference_of_stream(stream_of_prepared(model, part(prepared, held[:REFERENCE])))
        later = part(prepared, held[REFERENCE:])
        rows.append((_told(model, later, known), _told(model, other_units(later, glucose), known)))
        print(rows[-1], flush=True)
    body = _body(rows)
    print(body)
    if given.page:
        write_section(given.page, "Monitoring real stays", body)


def part(prepared: PreparedCases, keep: Array) -> PreparedCases:
    """Some of the cases, in another order."""
    row = {name: rows[keep] for name, rows in prepared.row.items()}
    return replace(
        prepared,
        cases=tuple(prepared.cases[k] for k in keep),
        x={name: values[row[name][row[name] >= 0]] for name, values in prepared.x.items()},
        row={name: np.where(rows >= 0, np.cumsum(rows >= 0) - 1, -1) for name, rows in row.items()},
        plain={name: values[keep] for name, values in prepared.plain.items()},
        present=prepared.present[keep],
        time_h=prepared.time_h[keep],
        outcomes=tuple(prepared.outcomes[k] for k in keep),
    )


def other_units(prepared: PreparedCases, columns: Array) -> PreparedCases:
    """Glucose in mmol/L from the middle of the stream on."""
    plain = prepared.plain["labs"].copy()
    plain[np.ix_(np.arange(len(plain)) >= len(plain) // 2, columns)] /= MG_DL_PER_MMOL_L
    return replace(prepared, plain={**prepared.plain, "labs": plain})


def _told(model: object, prepared: PreparedCases, known: object) -> list[tuple[str, str, int]]:
    stream: Stream = stream_of_prepared(model, prepared)  # type: ignore[arg-type]
    label = labels_of(stream, prepared)
    state = watch_stream(stream, known, read_policy(), Outcomes(label, len(label), 0)).state  # type: ignore[arg-type]
    return [(alarm.name, alarm.what, alarm.at.number) for alarm in state.alarms]


def _body(rows: list[tuple[list[tuple[str, str, int]], list[tuple[str, str, int]]]]) -> str:
    middle = WATCHED // 2
    lines = []
    for number, (quiet, changed) in enumerate(rows, start=1):
        after = [one for one in changed if one[2] > middle]
        first = after[0] if after else None
        said = f"{first[1]} of {first[0]}, after {first[2] - middle} cases" if first else "none"
        lines.append([str(number), str(len(quiet)), str(len(changed) - len(after)), said])
    return TEXT.format(
        command="python -m benchmarks.monitoring_stays --page docs/trust.md",
        table=markdown(["order", "alarms, unchanged", "alarms before the change", "first alarm after it"], lines),
    )


TEXT: Final = """    {command}

Real stays of PhysioNet 2012 (vitals, labs, demographics), outcomes all known. 1,500 are learnt from; of the rest 1,000
are the reference and 1,500 the stream, in ten random orders (the orders share their stays, so they are no ten
independent trials). Then glucose is planted in mmol/L instead of mg/dL from stay 751 on.

{table}
"""


if __name__ == "__main__":
    main()
