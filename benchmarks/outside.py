"""How many foreign inputs are caught, and how many good ones are taken for foreign: simulated and real, held out.

    python -m benchmarks.outside [--data DIR] [--page docs/trust.md]

Simulated signals are rendered by `clinic_mm.simulate` and prepared as any other; real ones are read in place from DIR.
An input counts as caught where reading or preparing it refuses it, or its guard rejects it; of an EEG, where the broken
channel is named and left out.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.outside_ct import real_ct, simulated_ct
from benchmarks.outside_eeg import real_eeg, simulated_eeg
from benchmarks.outside_guarded import ALARMS, SEED, TRAIN, Row, interval
from benchmarks.outside_records import simulated_records, stays
from benchmarks.outside_xray import real_xray, simulated_xray
from benchmarks.section import write_section

DATA: Final = Path(os.environ.get("CLINIC_MM_DATA", Path(__file__).parents[2] / "shared" / "data"))
TITLE: Final = "Inputs from outside of training"
GOAL, MOST = 0.95, 0.05
SHORT: Final = (
    "What falls short: one result in another unit whose numbers lie where other patients' numbers do (rows marked "
    "**no**) cannot be told from a sick patient by its value alone; where a record names its units they are read, and "
    "no guard is needed. Of real CT there are too few series for a share, and none to learn from. Mirrored pictures "
    "and swapped sides are flagged, never refused: without side markers they are not certain enough."
)


def main() -> None:
    """Measure all, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("runs/icu_mortality"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    pictures, mirrored, guard_s = simulated_xray()
    eeg, swapped = simulated_eeg()
    rows = [*pictures, *simulated_ct(), *eeg, *simulated_records(600, ALARMS, SEED)]
    body = [*_opening(), *table(rows), ""]
    sides = [("mirrored X-ray", "simulated", mirrored), ("swapped EEG sides", "simulated", swapped)]
    if given.data.is_dir():
        real, real_mirrored, notes = real_xray(given.data)
        channels, real_swapped = real_eeg(given.data)
        real_rows = [*real, *channels, *stays(given.data, given.work, ALARMS, SEED)]
        sides += [("mirrored X-ray", "real", real_mirrored), ("swapped EEG sides", "14 people", real_swapped)]
        body += [*table(real_rows), "", *notes, "", *real_ct(given.data), ""]
    body += ["| only flagged | on | AUROC, cross-fitted |", "|---|---|---|"]
    body += [f"| {name} | {where} | {value:.3f} |" for name, where, value in sides]
    body += ["", f"Guarding a prepared X-ray takes {1e3 * guard_s:.2f} ms (one core, batch of 64).", "", SHORT]
    print("\n".join(body))
    if given.page:
        write_section(given.page, TITLE, "\n".join(body))


def _opening() -> list[str]:
    return [
        "Made by `python -m benchmarks.outside --page docs/trust.md`.",
        "",
        f"A guard learns from training cases alone, without labels; its thresholds let at most {ALARMS:.1%} of a "
        "modality's good inputs pass for foreign, as cross-fitting by patient shows. Asked of it: at least "
        f"{GOAL:.0%} caught at no more than {MOST:.0%} false alarms. Simulated: up to {TRAIN} to learn from, others "
        "held out, all SIMULATED. Real: chest X-rays of 166 patients in five folds by patient, PhysioNet 2012 in "
        "halves. Photographs are crops of three pictures, pages and screens are drawn. The share of false alarms and "
        "what the guard looks at in an X-ray were chosen with these chest X-rays at hand (other folds): their "
        "rows flatter a little; the simulated ones were not looked at. Intervals are Clopper-Pearson, by input.",
        "",
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """Markdown."""
    lines = ["| input | on | n | caught (95 %) | reached |", "|---|---|---|---|---|"]
    for name, where, caught, n in rows:
        alarm = name.startswith("good")
        reached = caught <= MOST * n if alarm else caught >= GOAL * n
        lines.append(f"| {name} | {where} | {n} | {interval(caught, n)} | {'yes' if reached else '**no**'} |")
    return lines


if __name__ == "__main__":
    main()
