"""Does a deep Boltzmann machine order as its paper says: generated > zero > single, and DBM > SVM > LDA?

    python -m benchmarks.boltzmann_ordering --page docs/boltzmann.md [--seeds 5] [--data ../shared/data]

SIMULATED two-view cases, made here: yes-or-no factors that both views share set the class; a dense view of real numbers
and a view of counted words show them, each with factors of its own beside. Regimes differ in how much the views tell,
in how many cases have a label, and in how long the machine learns. Training cases are drawn anew for each seed; the
test cases are the same for all, so that differences are paired by case. With --data the same on real stays.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy import ndarray as Array
from pydantic import JsonValue

from benchmarks.section import machine, write_section
from clinic_mm.cohort.split import UNLABELLED
from clinic_mm.colearning.boltzmann.infer import mean_field
from clinic_mm.colearning.boltzmann.machine import Given, Units
from clinic_mm.evaluate.bootstrap import paired_interval_repeats
from clinic_mm.evaluate.metrics import auroc
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import softmax
from clinic_mm.predict.boltzmann import JoinedBoltzmann
from clinic_mm.task import parse_task
from clinic_mm.training.methods import boltzmann, lda, svm
from clinic_mm.training.methods.base import Lesson

FACTORS: Final = 8
DENSE: Final = 100
WORDS: Final = 150
TRAIN: Final = 2000
TEST: Final = 2000
WORLD_SEED: Final = 1000
TEST_SEED: Final = 999
STAYS: Final = 1600
SECTION: Final = "The ordering, measured"
NAMES: Final = ("image", "text")
LONG: Final = {"epochs": 40, "joint_epochs": 60}
BOTH: Final = ("DBM", "SVM", "LDA (discriminant)", "LDA (Dirichlet)")
ONE: Final = ("generated, mean field", "generated, Gibbs", "zero", "single", "single, SVM")
Answers = dict[str, Array]
"""Probabilities of the test cases by every way."""


@dataclass(frozen=True, slots=True)
class World:
    """How cases come about.

    Attributes:
        labelled: Training cases that have a label.
        own: Spread of what each view has for itself, beside what both share.
        noise: Spread of the dense view's noise.
        length: Words of a text.
        plan: Settings of the machine.
    """

    labelled: int
    own: float = 0.5
    noise: float = 2.5
    length: int = 40
    plan: Mapping[str, int] = field(default_factory=dict)


REGIMES: Final = {
    "100 of 2,000 cases labelled, weak image, rich text": World(100, own=0.3, noise=4.0, length=150),
    "the same, machine learns longer": World(100, own=0.3, noise=4.0, length=150, plan=LONG),
    "200 of 2,000 labelled, both views middling": World(200),
    "all 2,000 labelled, both views middling": World(TRAIN),
}


def simulate(world: World, seed: int, n: int) -> tuple[list[Array], Array]:
    """Cases with both views, and their classes; the world is the same for every seed."""
    fixed, drawn = np.random.default_rng(WORLD_SEED), np.random.default_rng(seed)
    shared = (drawn.random((n, FACTORS)) < 0.5) - 0.5
    tables = []
    for width in (DENSE, WORDS):
        own = world.own * drawn.normal(size=(n, FACTORS)) / np.sqrt(2)
        tables.append(shared @ fixed.normal(size=(FACTORS, width)) + own @ fixed.normal(size=(FACTORS, width)))
    image = tables[0] + world.noise * drawn.normal(size=(n, DENSE))
    share = np.exp(0.8 * tables[1])
    counts = drawn.multinomial(world.length, share / share.sum(axis=1, keepdims=True))
    text = np.log1p(counts) / np.linalg.norm(np.log1p(counts), axis=1, keepdims=True)
    log_odds = 3 * shared @ fixed.normal(size=FACTORS)
    labels = (drawn.random(n) < 1 / (1 + np.exp(-log_odds))).astype(np.int64)
    return [image.astype(np.float32), text.astype(np.float32)], labels


def simulated_lesson(world: World, seed: int) -> tuple[Lesson, Array]:
    """The cases to learn from, of which the first have a label, with the test cases after them; and all classes."""
    (learnt, y), (tested, y_test) = simulate(world, seed, TRAIN), simulate(world, TEST_SEED, TEST)
    labels = np.concatenate([y, y_test])
    known = labels.copy()
    known[world.labelled :] = UNLABELLED
    n = len(labels)
    plain = {name: np.concatenate(parts) for name, *parts in zip(NAMES, learnt, tested, strict=True)}
    rows = {name: np.arange(n) for name in NAMES}
    heard = Heard(NAMES, plain, np.full((n, 2, 2), 0.5), np.ones((n, 2), bool), np.zeros((n, 2)), rows)
    task = parse_task({"target": "ill", "modalities": ["xray", "note"], "seed": seed})
    return Lesson(heard, known, np.arange(n), np.array([0.5, 0.5]), np.arange(TRAIN), task, seed), labels


def answers(lesson: Lesson, settings: Mapping[str, JsonValue], test: Array) -> Answers:
    """Probabilities of unseen cases by every way: with all they have, and with one modality alone."""
    heard = lesson.heard
    native = heard.present[test]
    dbm = boltzmann.fit(lesson, settings)
    rivals = (svm.fit(lesson, {}), lda.fit_discriminant(lesson, {}), lda.fit_dirichlet(lesson, settings))
    fitted = zip(BOTH, (dbm, *rivals), strict=True)
    out = {name: softmax(joined.logits(heard, test, native)) for name, joined in fitted}
    for column, name in enumerate(heard.names):
        alone = np.zeros_like(native)
        alone[:, column] = native[:, column]
        drawn = dbm.space.imagined(heard, test, alone, np.random.default_rng(lesson.seed))
        counts = [name] if name in cast(Sequence[str], settings["counts"]) else []
        single = boltzmann.fit(_narrowed(lesson, name), {**settings, "counts": [*counts]})
        ways = (
            softmax(dbm.logits(heard, test, alone)),
            _judged(dbm, drawn, alone),
            _judged(dbm, _zero_filled(dbm, heard, test, alone), alone),
            softmax(single.logits(_only(heard, name), test, alone[:, [column]])),
            softmax(svm.fit(_narrowed(lesson, name), {}).logits(_only(heard, name), test, alone[:, [column]])),
        )
        out |= {f"{name}: {way}": p for way, p in zip(ONE, ways, strict=True)}
    return out


def _judged(dbm: JoinedBoltzmann, units: Units, present: Array) -> Array:
    """What the head says of hidden layers."""
    points = np.hstack([*units.first, *units.second, units.joint])
    return dbm.head.predict(np.hstack([points, present.astype(float)]))


def _zero_filled(dbm: JoinedBoltzmann, heard: Heard, case: Array, present: Array) -> Units:
    """Layers with zeros clamped where a view is absent, as if they had been seen."""
    given = dbm.space.given(heard, case, present)
    return mean_field(dbm.space.machine, Given(given.visible, np.ones_like(present)))


def _only(heard: Heard, name: str) -> Heard:
    column = heard.names.index(name)
    return replace(
        heard,
        names=(name,),
        plain={name: heard.plain[name]},
        opinions=heard.opinions[:, [column]],
        present=heard.present[:, [column]],
        time_h=heard.time_h[:, [column]],
    )


def _narrowed(lesson: Lesson, name: str) -> Lesson:
    """What is left of a lesson for one modality: the machine never meets another."""
    heard = _only(lesson.heard, name)
    return replace(lesson, heard=heard, rows=lesson.rows[heard.present[lesson.rows, 0]])


def table(runs: Sequence[Answers], labels: Array) -> list[str]:
    """AUROC of every way, mean over runs, and the paired differences that the ordering claims."""
    names = list(runs[0])
    stacked = {name: np.stack([run[name] for run in runs]) for name in names}
    mean = {name: np.mean([auroc(p, labels) for p in ps]) for name, ps in stacked.items()}

    def gap(better: str, worse: str) -> str:
        patients = np.arange(len(labels))
        found = paired_interval_repeats(auroc, stacked[better], stacked[worse], labels, patients, n=500)
        return f"{found.estimate:+.3f} ({found.low:+.3f} to {found.high:+.3f})"

    views = [name.partition(":")[0] for name in names if name.endswith(ONE[0])]
    lines = ["| with all that a case has | AUROC | DBM minus it |", "|---|---|---|"]
    lines += [f"| {n} | {mean[n]:.3f} | {'' if n == BOTH[0] else gap(BOTH[0], n)} |" for n in BOTH]
    head = ["one modality alone", *ONE, "generated − zero", "zero − single", "generated − single", "zero − SVM"]
    lines += ["", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for view in views:
        ways = [f"{view}: {way}" for way in ONE]
        best = max(ways[:2], key=lambda way: mean[way])
        gaps = (gap(best, ways[2]), gap(ways[2], ways[3]), gap(best, ways[3]), gap(ways[2], ways[4]))
        lines.append(f"| {view} | " + " | ".join([*(f"{mean[way]:.3f}" for way in ways), *gaps]) + " |")
    return lines


def real_lesson(data: Path, work: Path, seed: int) -> tuple[Lesson, Array, Array]:
    """PhysioNet 2012 stays, half of them to learn from; all classes; and the other half."""
    from clinic_mm.predict.model import heard_of
    from clinic_mm.prep.batch import fit_preps, plan_recipe, prepare_cases
    from clinic_mm.task import read_task
    from clinic_mm.training.train import training_cases
    from pipelines.icu_mortality import HERE, cohort_of

    cohort, task = cohort_of(data, work, STAYS), read_task(HERE / "icu_mortality.task.toml")
    cases = training_cases(cohort, task, 0.0)
    half = np.random.default_rng(seed).permutation(len(cases))
    learnt, tested = np.sort(half[::2]), np.sort(half[1::2])
    recipe = fit_preps([cases[k] for k in learnt], cohort.roots, plan_recipe(task))
    prepared = prepare_cases(cases, cohort.roots, recipe, workers=2)
    n_classes = len(task.classes)
    prior = np.bincount(prepared.labels[learnt], minlength=n_classes) / len(learnt)
    opinions = np.tile(prior, (len(cases), len(prepared.names), 1))
    some = prepared.present.any(axis=1)
    heard = heard_of(prepared, opinions, {})
    lesson = Lesson(heard, prepared.labels, prepared.patients, prior, learnt[some[learnt]], task, seed)
    return lesson, prepared.labels, tested


def main() -> None:
    """Run the regimes and write the section."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--data", type=Path, help="the real files; left out without it")
    asked.add_argument("--work", type=Path, default=Path("runs/boltzmann_ordering"), help="where the cohort goes")
    asked.add_argument("--page", type=Path, help="page to write")
    given = asked.parse_args()
    lines = [
        f"Measured on {machine()}; {given.seeds} seeds, {TEST:,} simulated test cases; 95 % intervals by paired",
        "bootstrap over test cases. Differences of the generated take the better of mean field and Gibbs.",
    ]
    for name, world in REGIMES.items():
        runs = []
        for seed in range(given.seeds):
            lesson, labels = simulated_lesson(world, seed)
            runs.append(answers(lesson, {**world.plan, "counts": ["text"]}, np.arange(TRAIN, TRAIN + TEST)))
        lines += _told(f"### SIMULATED: {name}", table(runs, labels[TRAIN:]))
    if given.data:
        lesson, labels, test = real_lesson(given.data, given.work, 0)
        title = f"### Real: PhysioNet 2012, {len(labels):,} stays, half to learn from, death in hospital"
        lines += _told(title, table([answers(lesson, {"counts": []}, test)], labels[test]))
    lines += ["", "Command: `python -m benchmarks.boltzmann_ordering --page docs/boltzmann.md --data ../shared/data`"]
    if given.page:
        write_section(given.page, SECTION, "\n".join(lines))


def _told(title: str, lines: list[str]) -> list[str]:
    """Lines of a part of the page, printed at once."""
    part = ["", title, "", *lines]
    print("\n".join(part), flush=True)
    return part


if __name__ == "__main__":
    main()
