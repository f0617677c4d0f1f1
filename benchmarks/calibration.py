"""Whether probabilities mean what they say per availability pattern, at a new site, and what silence is worth.

    python -m benchmarks.calibration --page docs/trust.md                  simulated: a quarter of an hour of one core
    python -m benchmarks.calibration --part stays --page docs/trust.md     PhysioNet 2012: two hours, kept by fold

Constants (how far a calibration may move, at training and at a site) were chosen on seeds 200 to 205 and 300 to 305.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.latent_cohort import Cases, SecondLevel, drawn, second_level
from benchmarks.section import write_section
from clinic_mm.evaluate.metrics import METRICS
from clinic_mm.evaluate.risk_coverage import areas, silence_table
from clinic_mm.fusion.pool import softmax
from clinic_mm.predict.abstain import dispute, support
from clinic_mm.simulate.latent import World
from clinic_mm.task import AbstainTask
from clinic_mm.training.abstain import fit_silence
from clinic_mm.training.pool import subset_rows
from clinic_mm.training.recalibrate import Site, calibrated

TRAIN, TEST, SEEDS = 2000, 20_000, 10
MOST_EXCESS, ENOUGH, ENOUGH_FOR_RAW = 0.03, 300, 4000
SITE_TEST: Final = 10_000
SITE_CASES: Final = (50, 100, 200, 500)
SITES: Final = {
    "like training": (0.3, 0.0),
    "class as rare as 1 in 10": (0.1, 0.0),
    "class as common as 1 in 2": (0.5, 0.0),
    "noisier evidence": (0.3, 1.0),
    "noisier, 1 in 7": (0.15, 1.0),
}
"""Prevalence and SD of the noise added to every summary."""
HARM: Final = 0.01
STAYS_REPEATS, STAYS_FOLDS = 5, 5
Mechanism = Literal["MCAR", "MAR", "MNAR"]
COMMAND: Final = "Made by `python -m benchmarks.calibration --part {} --page docs/trust.md`."
PARTS: Final = {
    "patterns": "Calibration per pattern on simulated cohorts",
    "site": "Recalibration at a new site",
    "silence": "What silence is worth",
    "stays": "Calibration and silence on PhysioNet 2012",
}


def main() -> None:
    """Run the asked part and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--part", choices=PARTS, help="one part alone; all simulated ones where left out")
    asked.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets, for stays")
    asked.add_argument("--work", type=Path, default=Path("runs/icu_mortality"), help="where the stays' cohort is kept")
    asked.add_argument("--seeds", type=int, default=SEEDS)
    asked.add_argument("--repeats", type=int, default=STAYS_REPEATS, help="of the stays' cross-validation")
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    make: dict[str, Callable[[], str]] = {
        "patterns": lambda: of_patterns(given.seeds),
        "site": lambda: of_sites(given.seeds),
        "silence": lambda: of_silence(given.seeds),
        "stays": lambda: of_stays(given.data, given.work, given.repeats),
    }
    for part in [given.part] if given.part else [name for name in PARTS if name != "stays"]:
        body = make[part]()
        print(f"## {PARTS[part]}\n\n{body}\n")
        if given.page:
            if not given.page.is_file():
                given.page.write_text("# Trust\n", encoding="utf-8")
            write_section(given.page, PARTS[part], body)


def fitted_of(mechanism: Mechanism, seed: int, n_test: int = TEST) -> tuple[SecondLevel, Cases]:
    """One training cohort's second level, and new cases."""
    world = World(missing=mechanism)
    return second_level(world, drawn(world, 2 * seed, TRAIN), seed), drawn(world, 2 * seed + 1, n_test)


def masked(cases: Cases, seed: int) -> tuple[Cases, Array]:
    """Cases that lose something when each modality is taken with probability 0.4, and what is left to them."""
    kept = cases.present & (np.random.default_rng(seed).random(cases.present.shape) < 0.6)
    some = np.flatnonzero(kept.any(axis=1) & (kept != cases.present).any(axis=1))
    return cases.only(some), kept[some]


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
    fitted, test = fitted_of(mechanism, seed)
    part, left = masked(test, seed)
    native = _judged(fitted.answers(test), test.y, test.present, fitted.table.names).assign(kind="native")
    under = _judged(fitted.answers(part, left), part.y, left, fitted.table.names).assign(kind="masked")
    raw = _judged(_uncalibrated(fitted, test), test.y, test.present, fitted.table.names).assign(kind="before")
    moved = fitted.temperatures.absent is not None
    return pd.concat([native, under, raw]).assign(seed=seed, moved=moved)


def _uncalibrated(fitted: SecondLevel, cases: Cases) -> Array:
    """What the pool says by itself."""
    calibrated_logits = np.log(fitted.answers(cases))
    plain = fitted.temperatures
    steep = np.exp(plain.log_temperature(cases.present))[:, None]
    moved = plain.logits(np.zeros_like(calibrated_logits) + plain.centre, cases.present) - plain.centre
    return softmax((calibrated_logits - moved - plain.centre) * steep + plain.centre)


def _judged(p: Array, y: Array, present: Array, names: Sequence[str]) -> pd.DataFrame:
    """ECE and its excess per pattern with enough cases, and over all."""
    masks, whose = np.unique(present, axis=0, return_inverse=True)
    scopes = [(" ".join(np.array(names)[mask]), whose.ravel() == k) for k, mask in enumerate(masks)]
    rows = [
        {
            "pattern": name,
            "n": int(mine.sum()),
            "ece": METRICS["ece"](p[mine], y[mine]),
            "excess": METRICS["excess_ece"](p[mine], y[mine]),
        }
        for name, mine in [*scopes, ("all", np.ones(len(y), bool))]
        if mine.sum() >= ENOUGH
    ]
    return pd.DataFrame(rows)


def _patterns_text(frame: pd.DataFrame) -> str:
    found = frame.groupby(["kind", "pattern"]).agg(
        n=("n", "mean"), ece=("ece", "mean"), excess=("excess", "mean"), worst=("excess", "max"), seeds=("seed", "size")
    )
    told = [_verdict(kind, found.loc[kind]) for kind in ("native", "masked")]
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


def _verdict(kind: str, found: pd.DataFrame) -> str:
    found = found.drop(index="all")
    out = found[found["excess"] > MOST_EXCESS]
    judged = (
        f"every pattern is within {MOST_EXCESS}"
        if out.empty
        else f"**{len(out)} of {len(found)} patterns are beyond {MOST_EXCESS}: {', '.join(out.index)}**"
    )
    return f"{kind.capitalize()} cases, patterns with {ENOUGH} or more: {judged} (mean {found['excess'].mean():.3f})."


def _line(name: str, found: pd.DataFrame) -> str:
    own, before = found.loc[("native", name)], found.loc[("before", name)]
    under = f"{found.loc[('masked', name), 'excess']:+.3f}" if ("masked", name) in found.index else "–"
    return (
        f"| {name} | {own['n']:.0f} | {before['excess']:+.3f} | {own['excess']:+.3f} | {own['worst']:+.3f} | {under} |"
    )


def site_of(fitted: SecondLevel, cases: Cases) -> tuple[Site, Array]:
    """A site's cases as rows, and the model's calibrated logits of each case with all that it has."""
    rows = subset_rows(cases.present)
    logits = np.log(fitted.answers(cases.only(rows.case), rows.present))
    patients = np.arange(len(cases.y)).astype(str)
    centre = np.log(fitted.table.prior) + (0.0 if fitted.temperatures.shift is None else fitted.temperatures.shift)
    site = Site(logits, rows, cases.y, patients, cases.present, fitted.table.names, centre)
    return site, logits[rows.native]


def elsewhere(cases: Cases, prevalence: float, noise: float, n: int, seed: int) -> Cases:
    """Cases drawn with another prevalence, every summary with more noise."""
    rng = np.random.default_rng([seed, n])
    now = cases.y.mean()
    weight = np.where(cases.y == 1, prevalence / now, (1 - prevalence) / (1 - now))
    some = cases.only(rng.choice(len(cases.y), n, replace=False, p=weight / weight.sum()))
    return Cases(some.x + noise * rng.standard_normal(some.x.shape), some.present, some.y)


def of_sites(seeds: int) -> str:
    """What calibrating on few cases does to further cases of the same site."""
    frame = pd.DataFrame([row for seed in range(seeds) for row in _sites(seed)])
    lines = []
    for (site, n), part in frame.groupby(["site", "n"], sort=False):
        low, high = part["gain"].quantile([0.05, 0.95])
        lines.append(
            f"| {site} | {n} | {part['before'].mean():.3f} | {part['gain'].mean():+.3f} ({low:+.3f} to {high:+.3f}) "
            f"| {part['ece_before'].mean():.3f} → {part['ece_after'].mean():.3f} | {part['pays'].mean():.0%} "
            f"| {(part['gain'] > HARM).mean():.0%} |"
        )
    text = (
        f"Protocol: models as above (MCAR, {seeds} seeds); a site with another prevalence, or whose evidence is "
        f"noisier; as many of its cases as said, labelled, and {SITE_TEST:,} further ones to score on. Mean, 5 % to "
        f"95 % over seeds. “Used”: how often cross-validation on the labelled cases found it better, so that it was "
        f"used; “harm”: how often NLL on further cases rose by more than {HARM}. " + COMMAND.format("site")
    )
    head = [
        "| site | labelled cases | NLL before | change in NLL | excess ECE | used | harm |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([text, "", *head, *lines])


def _sites(seed: int) -> Iterator[dict[str, float | str]]:
    fitted, pool = fitted_of("MCAR", seed, 4 * SITE_TEST)
    for name, (prevalence, noise) in SITES.items():
        test = elsewhere(pool.only(np.arange(2 * SITE_TEST)), prevalence, noise, SITE_TEST, seed)
        before = np.log(fitted.answers(test))
        for n in SITE_CASES:
            labelled = elsewhere(pool.only(np.arange(2 * SITE_TEST, 4 * SITE_TEST)), prevalence, noise, n, seed)
            site, _ = site_of(fitted, labelled)
            found = calibrated(site, seed)
            after = found.temperatures.probabilities(before, test.present) if found.pays else np.exp(before)
            nll, excess = METRICS["nll"], METRICS["excess_ece"]
            yield {
                "site": name,
                "n": n,
                "pays": float(found.pays),
                "before": nll(np.exp(before), test.y),
                "gain": nll(after, test.y) - nll(np.exp(before), test.y),
                "ece_before": excess(np.exp(before), test.y),
                "ece_after": excess(after, test.y),
            }


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
    fitted, test = fitted_of("MCAR", seed)
    p = fitted.answers(test)
    who = np.arange(len(test.y))
    silence = fit_silence(fitted.table, fitted.probabilities, fitted.pool, AbstainTask(answers=0.8))
    said = support(fitted.pool, opinions_of(fitted, test), test.present)
    bound = np.array([silence.dispute.get(int(size), np.inf) for size in test.present.sum(axis=1)])
    asked = {"contradiction": dispute(said) > bound, "undecided": p.max(axis=1) < silence.least}
    rows = []
    for rule, silent in asked.items():
        table = silence_table(p, test.y, who, [(rule,) if s else () for s in silent], n=200)
        row = table[(table["reason"] == "any") & (table["loss"] == "brier")].iloc[0]
        rows.append({"rule": rule, "used": float(silence.uses(rule)), **row.to_dict()})
    return areas(p, test.y, who, n=200), pd.DataFrame(rows)


def opinions_of(fitted: SecondLevel, cases: Cases) -> Array:
    """What each expert says of each case; the prior where its modality is absent."""
    opinions = np.tile(fitted.pool.prior, (*cases.present.shape, 1))
    for m, head in enumerate(fitted.heads):
        here = cases.present[:, m]
        opinions[here, m] = head.predict(cases.x[here][:, [m]])
    return opinions


def of_stays(data: Path, work: Path, repeats: int) -> str:
    """Repeated cross-validation of the whole of training on real stays."""
    from clinic_mm.predict.answers import OURS
    from clinic_mm.prep.batch import fit_preps, plan_recipe, prepare_cases
    from clinic_mm.prep.cache import open_cache
    from clinic_mm.task import read_task
    from clinic_mm.training.crossval import Loss, cross_validate, without_modalities
    from clinic_mm.training.train import training_cases
    from pipelines.icu_mortality import HERE, cohort_of

    cohort, task = cohort_of(data, work), read_task(HERE / "icu_mortality.task.toml")
    cases = training_cases(cohort, task, 0.0)
    recipe = fit_preps(cases, cohort.roots, plan_recipe(task))
    prepared = prepare_cases(
        cases, cohort.roots, recipe, workers=1, cache=open_cache(work / "cache", 20.0, verify=False)
    )
    half = (Loss("modalities", 0.5, without_modalities),)
    frame = cross_validate(
        prepared, recipe, task, repeats=repeats, folds=STAYS_FOLDS, losses=half, keep=work / "coverage", say=print
    )
    return stays_text(frame[(frame["method"] == OURS) & (frame["pattern"] != "")], repeats)


def stays_text(ours: pd.DataFrame, repeats: int) -> str:
    """Excess ECE per pattern over the repeats, native and masked, and the area under the risk-coverage curve."""
    names = sorted({name for pattern in ours["pattern"].unique() for name in pattern.split("+")})
    found = []
    for (dropped, repeat), part in ours.groupby(["dropped", "repeat"]):
        present = np.array([[name in pattern.split("+") for name in names] for pattern in part["pattern"]])
        p = part[["p_0", "p_1"]].to_numpy()
        kind = "native" if dropped == "nothing" else "masked"
        found.append(_judged(p, part["label"].to_numpy(), present, names).assign(kind=kind, repeat=repeat))
    mean = (
        pd.concat(found)
        .groupby(["kind", "pattern"])
        .agg(n=("n", "mean"), ece=("ece", "mean"), excess=("excess", "mean"), worst=("excess", "max"))
    )
    lines = [
        f"| {kind} | {pattern} | {row['n']:.0f} | {row['ece']:.3f} | {row['excess']:+.3f} | {row['worst']:+.3f} |"
        for (kind, pattern), row in mean.sort_values("n", ascending=False).iterrows()
    ]
    native = ours[(ours["dropped"] == "nothing") & (ours["repeat"] == ours["repeat"].min())]
    area = areas(native[["p_0", "p_1"]].to_numpy(), native["label"].to_numpy(), native["patient_key"].to_numpy(), n=500)
    told = [
        f"{row['loss']}: AURC {row['aurc']:.4f} ({row['low']:.4f} to {row['high']:.4f}), random {row['random']:.4f}, "
        f"perfect {row['perfect']:.4f}"
        for _, row in area.iterrows()
    ]
    text = (
        f"{len(native):,} stays, {repeats} times {STAYS_FOLDS}-fold cross-validation by patient; in each fold the "
        f"whole of training anew. Masked: each modality of a test stay taken away with probability 0.5. Patterns with "
        f"{ENOUGH} stays or more; mean and worst over repeats. " + COMMAND.format("stays")
    )
    verdicts = [f"- {_verdict(kind, mean.loc[kind])}" for kind in ("native", "masked")]
    head = ["| rows | evidence | n | ECE | excess | worst repeat |", "|---|---|---|---|---|---|"]
    silence = f"Risk over coverage, surest first (first repeat, 95 % by patient): {'; '.join(told)}."
    return "\n".join([text, "", *verdicts, "", *head, *lines, "", silence])


if __name__ == "__main__":
    main()
