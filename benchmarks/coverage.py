"""How often prediction sets hold the truth, per availability pattern: simulated, and real stays of PhysioNet 2012.

    python -m benchmarks.coverage --page docs/trust.md                   simulated: a quarter of an hour of one core
    python -m benchmarks.coverage --part stays --page docs/trust.md      PhysioNet 2012: half an hour

Constants (up to how many patients masked rows fill a pattern, when a pattern borrows) were chosen on seeds 100 to 114.
"""

from collections.abc import Callable, Sequence
from typing import Final

import pandas as pd

from benchmarks.coverage_judged import COMMAND, ENOUGH, FEWEST_UPPER, LEVEL, SEEDS, SOME, judged, sets_seen
from benchmarks.coverage_options import of_classes, of_shift, of_split
from benchmarks.coverage_stays import of_stays
from benchmarks.latent_cohort import TEST, TRAIN, Mechanism, cohort_of, masked
from benchmarks.parts import parser_of, write_parts
from clinic_mm.training.thresholds import fit_thresholds

LOW, HIGH = 0.88, 0.93
PARTS: Final = {
    "simulated": "Coverage on simulated cohorts",
    "classes": "Coverage within classes",
    "shift": "Coverage under covariate shift",
    "split": "Coverage with patients held out",
    "not-at-random": "Coverage where evidence is not missing at random",
    "stays": "Coverage on PhysioNet 2012",
}


def main() -> None:
    """Run the asked part and write the page."""
    given = parser_of(__doc__, PARTS, SEEDS).parse_args()
    make: dict[str, Callable[[], str]] = {
        "simulated": lambda: of_simulated(given.seeds, ("MCAR",)),
        "classes": lambda: of_classes(given.seeds),
        "shift": lambda: of_shift(given.seeds),
        "split": lambda: of_split(given.seeds),
        "not-at-random": lambda: of_simulated(given.seeds, ("MAR", "MNAR")),
        "stays": lambda: of_stays(given.data, given.work),
    }
    write_parts(given, PARTS, make)


def of_simulated(seeds: int, mechanisms: Sequence[Mechanism]) -> str:
    """The main table: mean over seeds per pattern, native and masked apart, for each way of being missing."""
    text = [
        f"Protocol: {TRAIN:,} simulated training cases of five modalities, {seeds} seeds; experts are ridge heads on "
        f"one noisy summary per modality, cross-fitted; pool, temperatures and thresholds as `clinic-mm train` fits "
        f"them (without trees, networks and the head over everything side by side). {TEST:,} new cases per seed, "
        f"native and masked down to a random part of what they have. Target {LEVEL:.0%}. A set is never empty: where "
        f"the most probable class alone is right more often, coverage is higher and no threshold can lower it. "
        + COMMAND.format("simulated" if "MCAR" in mechanisms else "not-at-random"),
    ]
    for mechanism in mechanisms:
        frame = pd.concat([_one_seed(mechanism, seed) for seed in range(seeds)])
        text += ["", f"### Evidence missing by {mechanism}", "", _over_seeds(frame), "", _one_cohort(frame)]
    return "\n".join(text)


def _one_seed(mechanism: Mechanism, seed: int) -> pd.DataFrame:
    fitted, test = cohort_of(mechanism, seed)
    thresholds = fit_thresholds(fitted.rows, LEVEL)
    native = sets_seen(thresholds, fitted.answers(test), test.present, test.y).assign(kind="native")
    part, left = masked(test, seed)
    under = sets_seen(thresholds, fitted.answers(part, left), left, part.y).assign(kind="masked")
    return pd.concat([native, under]).assign(seed=seed)


def _over_seeds(frame: pd.DataFrame) -> str:
    """One line per pattern: mean of the seeds' coverage, its spread, mean set size; and the judgement."""
    per_seed = frame.groupby(["kind", "pattern", "seed"]).agg(
        hit=("hit", "mean"), size=("size", "mean"), n=("hit", "size")
    )
    found = per_seed.groupby(["kind", "pattern"]).agg(
        mean=("hit", "mean"), spread=("hit", "std"), size=("size", "mean"), n=("n", "mean")
    )
    rows = [_line(pattern, found) for pattern in _ordered(found.loc["native"].index)]
    native = found.loc["native"]
    out = native[(native["mean"] < LOW) | (native["mean"] > HIGH)]
    told = (
        f"Every pattern's mean is within {LOW} to {HIGH}."
        if out.empty
        else f"**{len(out)} of {len(native)} patterns are outside {LOW} to {HIGH}: {', '.join(out.index)}.**"
    )
    head = [
        "| evidence | native: mean | spread over seeds | set size | masked: mean | spread |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([told, "", *head, *rows])


def _line(pattern: str, found: pd.DataFrame) -> str:
    own = found.loc[("native", pattern)]
    masked = found.loc[("masked", pattern)] if ("masked", pattern) in found.index else None
    rest = "– | –" if masked is None else f"{masked['mean']:.3f} | {masked['spread']:.3f}"
    return f"| {pattern.replace('+', ' ')} | {own['mean']:.3f} | {own['spread']:.3f} | {own['size']:.2f} | {rest} |"


def _one_cohort(frame: pd.DataFrame) -> str:
    """The judgement that one hospital could make: intervals of one test cohort of the size of training."""
    hits = []
    for seed, part in frame[frame["kind"] == "native"].groupby("seed"):
        hits.append(judged(part.head(TRAIN)).assign(seed=seed))
    every = pd.concat(hits)
    enough, some = every[every["n"] >= ENOUGH], every[(every["n"] >= SOME) & (every["n"] < ENOUGH)]
    fine = every[every["n"] >= SOME].groupby("seed")["fine"].all()
    return (
        f"Judged as one site would, by {TRAIN:,} test cases a seed (95 %, Bonferroni over patterns): the interval "
        f"holds {LEVEL} in {int(enough['holds'].sum())} of {len(enough)} patterns with {ENOUGH} test patients or more; "
        f"its upper end is at least {FEWEST_UPPER} in {int(some['upper'].sum())} of {len(some)} patterns with {SOME} "
        f"to {ENOUGH - 1}. Seeds in which all of both hold: {int(fine.sum())} of {len(fine)}."
    )


def _ordered(patterns: pd.Index) -> list[str]:
    return sorted(patterns, key=lambda name: (name.count("+"), name))


if __name__ == "__main__":
    main()
