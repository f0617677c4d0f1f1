"""Whether probabilities mean what they say per availability pattern, at a new site, and what silence is worth.

    python -m benchmarks.calibration --page docs/trust.md                  simulated: a quarter of an hour of one core
    python -m benchmarks.calibration --part stays --page docs/trust.md     PhysioNet 2012: two hours, kept by fold

Constants (how far a calibration may move, at training and at a site) were chosen on seeds 200 to 205 and 300 to 305.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.calibration_judged import COMMAND, ENOUGH_FOR_RAW, MOST_EXCESS, SEEDS, judged, verdict
from benchmarks.calibration_silence import of_silence
from benchmarks.calibration_sites import of_sites
from benchmarks.calibration_stays import REPEATS, of_stays
from benchmarks.latent_cohort import TEST, TRAIN, Cases, Mechanism, SecondLevel, cohort_of, masked
from benchmarks.parts import parser_of, write_parts
from clinic_mm.fusion.pool import softmax

PARTS: Final = {
    "patterns": "Calibration per pattern on simulated cohorts",
    "site": "Recalibration at a new site",
    "silence": "What silence is worth",
    "stays": "Calibration and silence on PhysioNet 2012",
}


def main() -> None:
    """Run the asked part and write the page."""
    asked = parser_of(__doc__, PARTS, SEEDS)
    asked.add_argument("--repeats", type=int, default=REPEATS, help="of the stays' cross-validation")
    given = asked.parse_args()
    make: dict[str, Callable[[], str]] = {
        "patterns": lambda: of_patterns(given.seeds),
        "site": lambda: of_sites(given.seeds),
        "silence": lambda: of_silence(given.seeds),
        "stays": lambda: of_stays(given.data, given.work, given.repeats),
    }
    write_parts(given, PARTS, make)


def of_patterns(seeds: int) -> str:
    """Excess ECE of every pattern, native and masked apart, by the way of being missing."""
    text = [
        f"Protocol: {TRAIN:,} simulated training cases of five modalities, {seeds} seeds; experts are ridge heads on "
        f"one noisy summary per modality, cross-fitted; pool and calibration as `clinic-mm train` fits them (without "
        f"trees, networks and the head over everything side by side). {TEST:,} new cases per seed; masked: each "
        f"modality of a case taken away with probability 0.4. Excess ECE: ECE in 15 bins "
        f"less its mean when labels are redrawn from the answers; mean over seeds. " + COMMAND.format("patterns")
    ]
    for mechanism in ("MCAR", "MAR", "MNAR"):
        frame = pd.concat([_of_seed(mechanism, seed) for seed in range(seeds)])
        text += ["", f"### Evidence missing by {mechanism}", "", _patterns_text(frame)]
    return "\n".join(text)


def _of_seed(mechanism: Mechanism, seed: int) -> pd.DataFrame:
    fitted, test = cohort_of(mechanism, seed)
    part, left = masked(test, seed)
    native = judged(fitted.answers(test), test.y, test.present, fitted.table.names).assign(kind="native")
    under = judged(fitted.answers(part, left), part.y, left, fitted.table.names).assign(kind="masked")
    raw = judged(_uncalibrated(fitted, test), test.y, test.present, fitted.table.names).assign(kind="before")
    moved = fitted.temperatures.absent is not None
    return pd.concat([native, under, raw]).assign(seed=seed, moved=moved)


def _uncalibrated(fitted: SecondLevel, cases: Cases) -> Array:
    """What the pool says by itself."""
    calibrated_logits = np.log(fitted.answers(cases))
    plain = fitted.temperatures
    steep = np.exp(plain.log_temperature(cases.present))[:, None]
    moved = plain.logits(np.zeros_like(calibrated_logits) + plain.centre, cases.present) - plain.centre
    return softmax((calibrated_logits - moved - plain.centre) * steep + plain.centre)


def _patterns_text(frame: pd.DataFrame) -> str:
    found = frame.groupby(["kind", "pattern"]).agg(
        n=("n", "mean"), ece=("ece", "mean"), excess=("excess", "mean"), worst=("excess", "max"), seeds=("seed", "size")
    )
    told = [verdict(kind, found.loc[kind]) for kind in ("native", "masked")]
    raw = frame[(frame["kind"] == "native") & (frame["n"] >= ENOUGH_FOR_RAW)]
    means = raw.groupby("pattern")["ece"].mean()
    told.append(
        f"Raw ECE where there are {ENOUGH_FOR_RAW:,} cases: "
        + ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        + f" ({'all' if (means <= MOST_EXCESS).all() else '**not all**'} within {MOST_EXCESS})."
    )
    shifts = frame.groupby("seed")["moved"].first()
    told.append(
        f"What it says that a modality was never acquired was taken up in {int(shifts.sum())} of {len(shifts)} seeds."
    )
    head = [
        "| evidence | n a seed | before | native | worst seed | masked |",
        "|---|---|---|---|---|---|",
    ]
    order = sorted(found.loc["native"].index, key=lambda name: (name == "all", name.count(" "), name))
    return "\n".join([*(f"- {line}" for line in told), "", *head, *(_line(name, found) for name in order)])


def _line(name: str, found: pd.DataFrame) -> str:
    own, before = found.loc[("native", name)], found.loc[("before", name)]
    under = f"{found.loc[('masked', name), 'excess']:+.3f}" if ("masked", name) in found.index else "–"
    return (
        f"| {name} | {own['n']:.0f} | {before['excess']:+.3f} | {own['excess']:+.3f} | {own['worst']:+.3f} | {under} |"
    )


if __name__ == "__main__":
    main()
