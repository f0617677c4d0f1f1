"""What the answering parts cost beside encoding; run `python -m benchmarks.attribution --page docs/performance.md`.

A unit of 64 cases with CT, X-ray, EEG, record and note, each absent in a fifth of the cases: encoded by the networks of
the modality table (MONAI for images), then answered with everything on but saliency: all subsets, Shapley shares and
pairs, prediction sets, abstention, drift, detectors of the outside, advice, similar cases, and the explanations of
record and note.
The model is fitted on noise, so that all these parts are there; its networks have random weights, since time is
measured. CPU time of one thread, medians of alternating repeats. Exact shares are checked against their definition.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy import ndarray as Array

import clinic_mm.predict.model as predict_model
from benchmarks.section import machine, write_section
from benchmarks.subsets import prep_of
from clinic_mm.encoders.base import WIDTH, make_encoder
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.predict.attribute import game_of, worth
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model, listen
from clinic_mm.predict.predictor import predict_cases
from clinic_mm.predict.within.asked import Why
from clinic_mm.prep.base import Prepared
from clinic_mm.prep.batch import Outcome, PreparedCases, Recipe, stack
from clinic_mm.prep.note import hashed
from clinic_mm.simulate.note import render
from clinic_mm.task import parse_task
from clinic_mm.training.fit import fit_model
from clinic_mm.types import Absent, CaseRecord, Evidence

KINDS = ("ct", "xray", "eeg", "record", "note")
NETWORKS = ("ct", "xray", "eeg")
FITTED, UNIT, ABSENT = 100, 64, 0.2
ADDED_LIMIT, CASE_LIMIT_MS = 0.10, 5.0


def noise_cases(recipe: Recipe, n: int, seed: int, folder: Path) -> PreparedCases:
    """Cases of noise with classes; notes are simulated texts that stand in a folder, to be read again."""
    rng = np.random.default_rng(seed)
    cases, outcomes = [], []
    for k in range(n):
        text = render(float(rng.normal()), rng)
        (folder / f"{seed}-{k}.txt").write_text(text, encoding="utf-8")
        note = Evidence(modality="note", root="notes", paths=(f"{seed}-{k}.txt",), content_hash=f"{seed:032d}{k:032d}")
        key = f"c{seed}-{k}"
        case = CaseRecord(
            case_key=key, patient_key=key, decision_time=None, label=int(k % 2), evidence={"note": (note,)}
        )
        there = rng.random(len(KINDS)) >= ABSENT
        there[int(rng.integers(len(KINDS)))] = True
        cases.append(case)
        outcomes.append(
            {
                name: _outcome(recipe, name, text, rng) if here else _absent(name)
                for name, here in zip(KINDS, there, strict=True)
            }
        )
    return stack(cases, outcomes, recipe)


def _outcome(recipe: Recipe, name: str, text: str, rng: np.random.Generator) -> Outcome:
    prep = recipe.preps[name]
    x = hashed(text, prep.shape[0]) if name == "note" else rng.random(prep.shape, dtype=np.float32).astype(prep.dtype)
    plain = x if name == "note" else rng.random(len(prep.plain_names), dtype=np.float32)
    return Outcome(Prepared(x, plain), 1.0, None)


def _absent(name: str) -> Outcome:
    return Outcome(None, np.nan, Absent(modality=name))


def deployed(size: str, folder: Path) -> Model:
    """Heads, pool, calibration, detectors and bank fitted on noise; networks and residual with random weights."""
    torch.manual_seed(0)
    task = parse_task({"target": "ill", "modalities": list(KINDS), "size": size, "folds": 2, "train": {"epochs": 0}})
    recipe = Recipe({name: prep_of(name, size) for name in KINDS})
    model = fit_model(noise_cases(recipe, FITTED, 1, folder), recipe, task)
    networks = {name: make_encoder(name, recipe.preps[name].shape, 2, size).eval() for name in KINDS}
    experts = tuple(
        Expert(e.name, e.kind, "network", None, networks[e.name])
        if e.name in NETWORKS
        else replace(e, encoder=networks[e.name])
        for e in model.experts
    )
    prior = torch.from_numpy(model.pool.prior.astype(np.float32))
    return replace(model, experts=experts, residual=Bottleneck(KINDS, WIDTH[size], prior).eval())


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds of a unit: of the networks, of all that answers, and of the same with record and note explained."""

    size: str
    encode: float
    answered: float
    explained: float

    @property
    def added(self) -> float:
        """Everything on, beside encoding alone."""
        return self.explained / self.encode


def measured(size: str, repeats: int) -> Row:
    """One size of networks."""
    folder = Path(tempfile.mkdtemp())
    model = deployed(size, folder)
    unit = noise_cases(model.recipe, UNIT, 2, folder)
    why = Why({"notes": folder})
    told = predict_cases(model, "h", unit, why=why)
    for one in told:
        assert one.withheld or abs(sum(one.shapley.values()) - _whole(one.subsets)) < 1e-6
    heard = listen(model, unit)
    encode = timed({"encode": lambda: listen(model, unit)}, repeats)["encode"]
    # A difference of two long times would be mostly noise: what is added is timed by itself, with the networks' words
    # at hand.
    with patch.object(predict_model, "listen", lambda *_: heard):
        assert [one.subsets for one in predict_cases(model, "h", unit)] == [one.subsets for one in told]
        took = timed(
            {
                "answered": lambda: predict_cases(model, "h", unit),
                "explained": lambda: predict_cases(model, "h", unit, why=why),
            },
            repeats,
        )
    return Row(size, encode, took["answered"], took["explained"])


def _whole(subsets: dict[str, tuple[float, ...]]) -> float:
    """v(all) - v(none)."""
    odds = {key: float(np.log(p[1] / p[0])) for key, p in subsets.items()}
    return odds[max(odds, key=lambda key: key.count("+") + bool(key))] - odds[""]


def timed(asks: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(repeats + 1):
        for name, ask in asks.items():
            start = time.thread_time()
            ask()
            if turn:  # the first warms up
                took[name].append(1000 * (time.thread_time() - start))
    return {name: statistics.median(times) for name, times in took.items()}


def exact_ms(repeats: int) -> tuple[float, float, float]:
    """Shares and pairs of 64 cases with five modalities: ms a case, by loops over orders, and the worst error."""
    game, rng = game_of(KINDS, np.ones(len(KINDS), bool)), np.random.default_rng(0)
    p = rng.uniform(0.01, 0.99, (UNIT, len(game.masks)))
    probabilities = np.stack([1 - p, p], axis=2)
    toward = np.ones(UNIT, int)
    place = {mask.tobytes(): k for k, mask in enumerate(game.masks)}
    took = timed(
        {
            "ours": lambda: game.shares(worth(probabilities, toward)),
            "plain": lambda: by_orders(worth(probabilities[:1], toward[:1])[0], place),
        },
        repeats,
    )
    values = worth(probabilities, toward)
    share = game.shares(values).share
    off = max(float(np.abs(share[k] - by_orders(values[k], place)).max()) for k in range(3))
    return (
        took["ours"] / UNIT,
        took["plain"],
        max(off, float(np.abs(share.sum(1) - values[:, 0] + values[:, -1]).max())),
    )


def by_orders(value: Array, place: dict[bytes, int]) -> Array:
    """Shapley 1953: the mean over all orders of joining."""
    total, orders = np.zeros(len(KINDS)), list(permutations(range(len(KINDS))))
    for order in orders:
        mask = np.zeros(len(KINDS), bool)
        for m in order:
            before = value[place[mask.tobytes()]]
            mask[m] = True
            total[m] += value[place[mask.tobytes()]] - before
    return total / len(orders)


def page(rows: Sequence[Row], exact: tuple[float, float, float], repeats: int) -> str:
    """What stands in the section."""
    lines = "\n".join(
        f"| {r.size} | {r.encode:.0f} | {r.answered:.0f} | {r.explained - r.answered:.0f} | {r.added:.1%} |"
        for r in rows
    )
    worst, (ours, plain, off) = max(r.added for r in rows), exact
    per_case = max(r.explained / UNIT for r in rows)
    within = ", ".join(r.size for r in rows if r.added <= ADDED_LIMIT) or "none"
    absent = f"each absent in {ABSENT:.0%}"
    return f"""Milliseconds of a unit of {UNIT} cases with up to five modalities ({absent}): encoding by
the networks of all five, then all that answers: subsets, Shapley shares and pairs, sets, abstention, drift, detectors
of the outside, advice and similar cases; and what explains record and note (texts read again from disk). What is
added is timed with the networks' words at hand. CPU time of one thread, {machine()}.

| networks | encode | + answer | + explain record and note | added in all |
|---|---|---|---|---|
{lines}

**The target of {ADDED_LIMIT:.0%} is reached with networks of size: {within}; at most {worst:.1%} is added, where
networks are smallest**: what is added grows less than they do. All of it takes {per_case:.2f} ms a case at most.
Exact shares and pairs of five modalities from their 32 answers take {1000 * ours:.1f} µs a case (target
{CASE_LIMIT_MS:.0f} ms; by loops over all orders {plain:.1f} ms); largest error of sums and against those loops
{off:.0e} (target 1e-6). Random weights and inputs; record and note are judged by fitted heads. Reading and preparing
files is not counted on either side. Medians of {repeats} repeats.
Command: `python -m benchmarks.attribution --repeats {repeats} --page docs/performance.md`"""


def main() -> None:
    """Measure, print, and put the figures into a page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeats", type=int, default=7)
    asked.add_argument("--sizes", nargs="+", default=["tiny", "small", "base"])
    asked.add_argument("--page", type=Path)
    given = asked.parse_args()
    torch.set_num_threads(1)
    rows = [measured(size, given.repeats) for size in given.sizes]
    body = page(rows, exact_ms(given.repeats), given.repeats)
    print(body)
    if given.page:
        write_section(given.page, "Attribution beside encoding", body)


if __name__ == "__main__":
    main()
