"""How often prediction sets hold the truth, per availability pattern: simulated, and real stays of PhysioNet 2012.

    python -m benchmarks.coverage --page docs/trust.md                   simulated: a quarter of an hour of one core
    python -m benchmarks.coverage --part stays --page docs/trust.md      PhysioNet 2012: half an hour

Constants (up to how many patients masked rows fill a pattern, when a pattern borrows) were chosen on seeds 100 to 114.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy import ndarray as Array

from benchmarks.latent_cohort import Cases, SecondLevel, drawn, second_level
from benchmarks.section import write_section
from clinic_mm.evaluate.metrics import coverage
from clinic_mm.predict.conformal import Thresholds
from clinic_mm.predict.shift import CalibrationCases, features_of, fit_shift
from clinic_mm.simulate.latent import World
from clinic_mm.training.thresholds import Rows, fit_thresholds

LEVEL: Final = 0.9
TRAIN, TEST, SEEDS = 2000, 20_000, 20
LOW, HIGH = 0.88, 0.93
WIDTHS: Final = (9.0, 2.0, 1.0, 0.5)
ENOUGH, SOME, FEWEST_UPPER = 100, 30, 0.85
COMMAND: Final = "Made by `python -m benchmarks.coverage --part {} --page docs/trust.md`."
PARTS: Final = {
    "simulated": "Coverage on simulated cohorts",
    "classes": "Coverage within classes",
    "shift": "Coverage under covariate shift",
    "split": "Coverage with patients held out",
    "not-at-random": "Coverage where evidence is not missing at random",
    "stays": "Coverage on PhysioNet 2012",
}
Mechanism = Literal["MCAR", "MAR", "MNAR"]


def main() -> None:
    """Run the asked part and write the page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--part", choices=PARTS, help="one part alone; all simulated ones where left out")
    asked.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets, for stays")
    asked.add_argument("--work", type=Path, default=Path("runs/icu_mortality"), help="where the stays' cohort is kept")
    asked.add_argument("--seeds", type=int, default=SEEDS)
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    make: dict[str, Callable[[], str]] = {
        "simulated": lambda: of_simulated(given.seeds, ("MCAR",)),
        "classes": lambda: of_classes(given.seeds),
        "shift": lambda: of_shift(given.seeds),
        "split": lambda: of_split(given.seeds),
        "not-at-random": lambda: of_simulated(given.seeds, ("MAR", "MNAR")),
        "stays": lambda: of_stays(given.data, given.work),
    }
    for part in [given.part] if given.part else [name for name in PARTS if name != "stays"]:
        body = make[part]()
        print(f"## {PARTS[part]}\n\n{body}\n")
        if given.page:
            _page(given.page, PARTS[part], body)


def _page(page: Path, title: str, body: str) -> None:
    if not page.is_file():
        page.write_text("# Trust\n", encoding="utf-8")
    write_section(page, title, body)


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


@lru_cache(maxsize=SEEDS)
def _fitted(mechanism: Mechanism, seed: int) -> tuple[SecondLevel, Cases]:
    """One training cohort's second level, and new cases."""
    world = World(missing=mechanism)
    train, test = drawn(world, 2 * seed, TRAIN), drawn(world, 2 * seed + 1, TEST)
    return second_level(world, train, seed), test


def _one_seed(mechanism: Mechanism, seed: int) -> pd.DataFrame:
    fitted, test = _fitted(mechanism, seed)
    thresholds = fit_thresholds(fitted.rows, LEVEL)
    native = _seen(thresholds, fitted.answers(test), test.present, test.y).assign(kind="native")
    kept = test.present & (np.random.default_rng(seed).random(test.present.shape) < 0.6)
    some = np.flatnonzero(kept.any(axis=1) & (kept != test.present).any(axis=1))
    part = test.only(some)
    masked = _seen(thresholds, fitted.answers(part, kept[some]), kept[some], part.y).assign(kind="masked")
    return pd.concat([native, masked]).assign(seed=seed)


def _seen(thresholds: Thresholds, p: Array, present: Array, y: Array) -> pd.DataFrame:
    sets = thresholds.sets(p, present)
    return pd.DataFrame(
        {
            "pattern": ["+".join(thresholds.pattern_of(row)) for row in present],
            "hit": sets[np.arange(len(y)), y],
            "size": sets.sum(axis=1),
            "y": y,
        }
    )


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


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage of each pattern with its interval, widened over the patterns, and whether it is what was promised."""
    patterns = rows["pattern"].nunique()
    out = []
    for pattern, part in rows.groupby("pattern"):
        sets = np.column_stack([part["hit"], ~part["hit"].astype(bool)]).astype(bool)
        patients = part["patient"].to_numpy() if "patient" in part else None
        found = coverage(sets, np.zeros(len(part), dtype=int), patients, comparisons=patterns)
        holds, upper = found.allows(LEVEL), found.high >= FEWEST_UPPER
        fine = holds if found.n >= ENOUGH else upper
        out.append((pattern, found.n, found.estimate, found.low, found.high, part["size"].mean(), holds, upper, fine))
    names = ["pattern", "n", "coverage", "low", "high", "size", "holds", "upper", "fine"]
    return pd.DataFrame(out, columns=names)


def _ordered(patterns: pd.Index) -> list[str]:
    return sorted(patterns, key=lambda name: (name.count("+"), name))


def of_classes(seeds: int) -> str:
    """What the level means for the rare class, with one threshold for all and with one per class."""
    rows: list[dict[str, float]] = []
    for fitted, test, seed in _cohorts(seeds):
        for conditional in (False, True):
            thresholds = fit_thresholds(fitted.rows, LEVEL, class_conditional=conditional)
            seen = _seen(thresholds, fitted.answers(test), test.present, test.y)
            by = seen.groupby("y")["hit"].mean()
            rows.append(
                {"conditional": conditional, "seed": seed, "no": by[0], "yes": by[1], "size": seen["size"].mean()}
            )
    found = pd.DataFrame(rows).groupby("conditional")[["no", "yes", "size"]].agg(["mean", "std"])
    lines = [
        f"| {'one per class' if c else 'one for all'} | {_cells(found, c, ('no', 'yes', 'size'))} |"
        for c in (False, True)
    ]
    text = (
        f"{seeds} seeds as above (MCAR), all patterns together; mean ± spread over seeds. Three in ten cases are of "
        f"the rare class. A level kept on the whole is not kept for the rare class; `class_conditional = true` keeps "
        f"it there, for larger sets. " + COMMAND.format("classes")
    )
    return "\n".join(
        [text, "", "| thresholds | coverage, common class | rare class | set size |", "|---|---|---|---|", *lines]
    )


def of_split(seeds: int) -> str:
    """Thresholds from a fifth of the patients, held out of all fitting, against out-of-fold ones."""
    rows: list[dict[str, float | str]] = []
    for seed in range(seeds):
        world, train = World(), drawn(World(), 2 * seed, TRAIN)
        aside = np.random.default_rng(seed).permutation(TRAIN) < TRAIN // 5
        held, fitted = train.only(aside), second_level(world, train.only(~aside), seed)
        split = fit_thresholds(_as_rows(fitted, held), LEVEL, guarantee="split")
        whole, test = _fitted("MCAR", seed)
        for name, one, thresholds in (
            ("split", fitted, split),
            ("approximate", whole, fit_thresholds(whole.rows, LEVEL)),
        ):
            seen = _seen(thresholds, one.answers(test), test.present, test.y)
            full = seen[seen["pattern"].str.count(r"\+") == len(world.modalities) - 1]
            rows.append(
                {"how": name, "all": seen["hit"].mean(), "full": full["hit"].mean(), "size": seen["size"].mean()}
            )
    found = pd.DataFrame(rows).groupby("how")[["all", "full", "size"]].agg(["mean", "std"])
    lines = [f"| {how} | {_cells(found, how, ('all', 'full', 'size'))} |" for how in ("approximate", "split")]
    text = (
        f'{seeds} seeds as above (MCAR); mean ± spread over seeds. `guarantee = "split"` holds a fifth of the '
        f"{TRAIN:,} patients out of all fitting; its coverage is guaranteed on average over such draws, and spreads "
        f"more from one to the next. " + COMMAND.format("split")
    )
    head = ["| guarantee | coverage, all cases | cases with all five modalities | set size |", "|---|---|---|---|"]
    return "\n".join([text, "", *head, *lines])


def _cells(found: pd.DataFrame, row: object, columns: Sequence[str]) -> str:
    """Mean ± spread of some columns of one row."""
    return " | ".join(f"{found.loc[row, (c, 'mean')]:.3f} ± {found.loc[row, (c, 'std')]:.3f}" for c in columns)


def _as_rows(fitted: SecondLevel, held: Cases) -> Rows:
    n = len(held.y)
    return Rows(
        fitted.table.names, fitted.answers(held), held.y, np.arange(n), held.present, np.ones(n, bool), np.arange(n) % 5
    )


def of_shift(seeds: int) -> str:
    """A new site whose patients look worse: sets as they are, and weighted to it."""
    rows: list[dict[str, float]] = []
    for fitted, test, seed in _cohorts(seeds):
        kept = calibration_cases(fitted)
        for width in WIDTHS:
            new = unclear(fitted, test, width, seed)
            p = fitted.answers(new)
            shift = fit_shift(kept, _features(fitted, new), np.arange(len(new.y)), class_conditional=False)
            rules = shift.rules(_features(fitted, new), new.present, LEVEL)
            score = np.array([rule.score[0] for rule in rules])
            weighted = (1 - p[np.arange(len(p)), new.y] <= score) | (p.argmax(axis=1) == new.y)
            plain = _seen(fit_thresholds(fitted.rows, LEVEL), p, new.present, new.y)["hit"]
            told = {"n": len(new.y), "sick": new.y.mean(), "plain": plain.mean(), "weighted": weighted.mean()}
            rows.append(
                {"width": width, **told, "auroc": shift.auroc, "effective": shift.effective, "void": bool(shift.void)}
            )
    found = pd.DataFrame(rows).groupby("width", sort=False).agg(["mean", "std"])
    lines = [
        f"| {width:g} | {found.loc[width, ('sick', 'mean')]:.2f} | {_cells(found, width, ('plain', 'weighted'))}"
        f" | {found.loc[width, ('auroc', 'mean')]:.2f} | {found.loc[width, ('effective', 'mean')]:.0f} "
        f"| {found.loc[width, ('void', 'mean')]:.0%} |"
        for width in found.index
    ]
    text = (
        f"{seeds} seeds as above (MCAR). A new site that clear cases do not come to: a case comes "
        f"exp(−(log-odds − log-odds of 1 in 5)² / 2 width²) times as often; the evidence means the same. Weights "
        f"are learnt from the new cases without their outcomes. Mean ± spread over seeds. " + COMMAND.format("shift")
    )
    head = [
        "| width | rare class there | sets as they are | weighted | old told from new, AUROC | effective n | warned |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([text, "", *head, *lines])


def unclear(fitted: SecondLevel, cases: Cases, width: float, seed: int, most: int = 2000) -> Cases:
    """Cases drawn the more often the nearer their answer is to one in five: covariate shift, and nothing else."""
    p = fitted.answers(cases)
    away = np.log(p[:, 1] / p[:, 0]) - np.log(0.25)
    chance = np.exp(-0.5 * np.square(away / width))
    rng = np.random.default_rng(1000 + seed)
    return cases.only(rng.choice(len(chance), most, p=chance / chance.sum(), replace=False))


def calibration_cases(fitted: SecondLevel) -> CalibrationCases:
    """As training keeps them, the summaries themselves in the place of their gists."""
    table, rows = fitted.table, fitted.table.rows
    alone = np.full((*table.present.shape, 2), 0.5)
    one = np.flatnonzero(rows.present.sum(axis=1) == 1)
    alone[rows.case[one], rows.present[one].argmax(axis=1)] = fitted.probabilities[one]
    native = rows.native
    score = 1 - fitted.probabilities[native, table.labels[rows.case[native]]]
    whole = np.full((len(table.labels), 2), 0.5)
    whole[rows.case[native]] = fitted.probabilities[native]
    features = features_of(table.present, [np.zeros((len(table.labels), 0))] * len(table.names), alone, whole)
    return CalibrationCases(features, table.present, score, table.labels, np.arange(len(table.labels)))


def _features(fitted: SecondLevel, cases: Cases) -> Array:
    alone = np.full((*cases.present.shape, 2), 0.5)
    for m in range(cases.present.shape[1]):
        here = np.flatnonzero(cases.present[:, m])
        mask = np.tile(np.arange(cases.present.shape[1]) == m, (len(here), 1))
        alone[here, m] = fitted.answers(cases.only(here), mask)
    nothing = [np.zeros((len(cases.y), 0))] * cases.present.shape[1]
    return features_of(cases.present, nothing, alone, fitted.answers(cases))


def _cohorts(seeds: int) -> Iterator[tuple[SecondLevel, Cases, int]]:
    for seed in range(seeds):
        yield *_fitted("MCAR", seed), seed


def of_stays(data: Path, work: Path) -> str:
    """Five-fold cross-validation of the whole of training on real stays."""
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
    say: Callable[[str], None] = print
    half = (Loss("modalities", 0.5, without_modalities),)
    frame = cross_validate(prepared, recipe, task, repeats=1, folds=5, losses=half, keep=work / "coverage", say=say)
    ours = frame[(frame["method"] == OURS) & (frame["pattern"] != "")]
    sets, label = ours[["set_0", "set_1"]].to_numpy() > 0, ours["label"].to_numpy()
    rows = pd.DataFrame(
        {
            "case": ours["case_key"],
            "pattern": ours["pattern"],
            "hit": sets[np.arange(len(ours)), label],
            "size": sets.sum(axis=1),
            "patient": ours["patient_key"],
            "y": label,
            "native": ours["dropped"] == "nothing",
        }
    )
    own = rows[rows["native"]].set_index("case")["pattern"]
    return _stays_text(rows[rows["native"]], rows[~rows["native"] & (rows["pattern"] != rows["case"].map(own))])


def _stays_text(native: pd.DataFrame, masked: pd.DataFrame) -> str:
    by = native.groupby("y")["hit"].mean()
    text = (
        f"{len(native):,} stays, 5-fold cross-validation by patient; in each fold the whole of training anew. Target "
        f"{LEVEL:.0%}; intervals 95 %, Bonferroni over the patterns. Who survived is covered in {by[0]:.3f}, who died "
        f"in {by[1]:.3f}: the level is kept on the whole, not within classes. Masked: each modality of a test stay "
        f"taken away with probability 0.5. " + COMMAND.format("stays")
    )
    head = ["| evidence | stays | coverage | set size | promise |", "|---|---|---|---|---|"]
    return "\n".join(
        [text, "", "As they came:", "", *head, *_lines(native), "", "Masked down:", "", *head, *_lines(masked)]
    )


def _lines(rows: pd.DataFrame) -> list[str]:
    return [
        f"| {row['pattern'].replace('+', ' ')} | {row['n']} | {row['coverage']:.3f} "
        f"({row['low']:.3f} to {row['high']:.3f}) | {row['size']:.2f} | {_verdict(row)} |"
        for _, row in judged(rows).sort_values("n", ascending=False).iterrows()
    ]


def _verdict(row: pd.Series) -> str:
    if row["n"] >= ENOUGH:
        return "kept" if row["holds"] else "**not kept**"
    if row["n"] >= SOME:
        return "not refuted" if row["upper"] else "**not kept**"
    return "too few to judge"


if __name__ == "__main__":
    main()
