"""What silence is worth: the area under the risk-coverage curve, and what each rule does.

In:  how many seeds. Out: a section of the page.
"""

import numpy as np
import pandas as pd

from benchmarks.calibration_judged import COMMAND
from benchmarks.latent_cohort import TEST, cohort_of
from clinic_mm.evaluate.risk_coverage import areas, silence_table
from clinic_mm.predict.abstain import dispute, support
from clinic_mm.task import AbstainTask
from clinic_mm.training.abstain import fit_silence


def of_silence(seeds: int) -> str:
    """The area under the risk-coverage curve, and what each rule does."""
    frames = [_silence_of(seed) for seed in range(seeds)]
    area = pd.concat([part for part, _ in frames])
    rules = pd.concat([part for _, part in frames])
    lines = [
        f"| {loss} | {part['aurc'].mean():.4f} | {part['random'].mean():.4f} | {part['perfect'].mean():.4f} "
        f"| {part['gain'].mean():.4f} (least of any seed's interval {part['gain_low'].min():.4f}) |"
        for loss, part in area.groupby("loss", sort=False)
    ]
    told = [
        f"| {rule} | {part['used'].mean():.0%} | {part['share'].mean():.1%} | {part['silenced'].mean():.3f} "
        f"| {part['answered'].mean():.3f} | {int((part['low'] > 0).sum())} of {len(part)} |"
        for rule, part in rules.groupby("rule", sort=False)
    ]
    text = (
        f"Protocol: models as above (MCAR, {seeds} seeds), {TEST:,} new cases each; the surest answers first. Random: "
        f"the risk of all answers; perfect: every error last. " + COMMAND.format("silence")
    )
    head = ["| risk | AURC | random | perfect | gain over random |", "|---|---|---|---|---|"]
    head_rules = [
        "| rule | used in | cases silenced | Brier of the silenced | of the answered | worse for certain |",
        "|---|---|---|---|---|---|",
    ]
    why = (
        "Rules are fitted and judged on out-of-fold answers in training, and scored here on new cases, whether or not "
        "training found them to lower the risk. “Undecided” asks for 80 % of cases answered."
    )
    return "\n".join([text, "", *head, *lines, "", why, "", *head_rules, *told])


def _silence_of(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    fitted, test = cohort_of("MCAR", seed)
    p = fitted.answers(test)
    who = np.arange(len(test.y))
    silence = fit_silence(fitted.table, fitted.probabilities, fitted.pool, AbstainTask(answers=0.8))
    said = support(fitted.pool, fitted.opinions(test), test.present)
    bound = np.array([silence.dispute.get(int(size), np.inf) for size in test.present.sum(axis=1)])
    asked = {"contradiction": dispute(said) > bound, "undecided": p.max(axis=1) < silence.least}
    rows = []
    for rule, silent in asked.items():
        table = silence_table(p, test.y, who, [(rule,) if s else () for s in silent], n=200)
        row = table[(table["reason"] == "any") & (table["loss"] == "brier")].iloc[0]
        rows.append({"rule": rule, "used": float(silence.uses(rule)), **row.to_dict()})
    return areas(p, test.y, who, n=200), pd.DataFrame(rows)
