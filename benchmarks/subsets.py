"""One case and all its subsets from one encoding, against one full answer; run `python -m benchmarks.subsets`.

Encoders, pool, residual and every registered fusion as they are deployed; weights are random, since time is measured. A
case with all its modalities is encoded once (`listen`), then asked for one answer, or for all 2^M - 1. CPU time
of one thread, medians of alternating repeats; every answer of the many is checked against the same subset asked alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy import ndarray as Array
from pydantic import JsonValue

from benchmarks.section import machine, write_section
from clinic_mm.encoders.base import WIDTH, make_encoder
from clinic_mm.fusion.base import registry
from clinic_mm.fusion.bottleneck import Bottleneck
from clinic_mm.fusion.heard import Heard
from clinic_mm.fusion.pool import subsets, unfitted
from clinic_mm.predict.calibrate import Temperatures
from clinic_mm.predict.conformal import Thresholds, single
from clinic_mm.predict.experts import Expert
from clinic_mm.predict.model import Model, listen, subset_logits, subset_probabilities
from clinic_mm.predict.network import JoinedNetwork, Network
from clinic_mm.prep.base import Prep, make_prep, plan_prep
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.signals import Signal
from clinic_mm.task import ModalityTask, parse_task
from clinic_mm.training.heads import fit_ridge
from clinic_mm.types import CaseRecord

SETS = (("ct", "xray", "eeg", "record"), ("ct", "xray", "eeg", "record", "note"))
SIZES = ("tiny", "small")
CLASSES, LIMIT = 2, 1.1


def prep_of(kind: str, size: str) -> Prep[Signal]:
    """As planned for a model size; the record with as many features as it may have."""
    planned = plan_prep(kind, size, ModalityTask(kind=kind))
    if kind != "record":
        return planned
    features = [["number", f"lab{k}", "mg/L"] for k in range(int(planned.recipe["most"]))]
    return make_prep(kind, {**planned.recipe, "features": features})


def prepared_case(recipe: Recipe) -> PreparedCases:
    """One case of noise that has every modality."""
    rng, names = np.random.default_rng(0), recipe.names
    return PreparedCases(
        cases=(CaseRecord(case_key="c", patient_key="p", decision_time=None),),
        names=names,
        x={name: rng.random((1, *recipe.preps[name].shape), dtype=np.float32) for name in names},
        row={name: np.zeros(1, int) for name in names},
        plain={name: rng.random((1, len(recipe.preps[name].plain_names)), dtype=np.float32) for name in names},
        present=np.ones((1, len(names)), bool),
        time_h=np.ones((1, len(names))),
        outcomes=({},),
    )


def default_model(kinds: Sequence[str], size: str) -> Model:
    """All parts of the default: networks as experts, pool, the head on everything side by side, residual."""
    torch.manual_seed(0)
    names, rng = tuple(kinds), np.random.default_rng(0)
    task = parse_task({"target": "ill", "modalities": list(kinds), "size": size})
    recipe = Recipe({name: prep_of(name, size) for name in names})
    prior = np.full(CLASSES, 1 / CLASSES)
    columns = sum(len(prep.plain_names) for prep in recipe.preps.values()) + len(names)
    encoders = {name: make_encoder(name, prep.shape, CLASSES, size).eval() for name, prep in recipe.preps.items()}
    return Model(
        task=task,
        recipe=recipe,
        experts=tuple(Expert(name, name, "network", None, encoders[name]) for name in names),
        pool=unfitted(names, prior),
        residual=Bottleneck(names, WIDTH[size], torch.from_numpy(prior.astype(np.float32))).eval(),
        temperatures=Temperatures(names, 0.1, np.zeros(len(names))),
        thresholds=Thresholds(names, 0.9, {}, {}, single(0.7, 200), (0.9,)),
        concat=fit_ridge(rng.random((40, columns)), np.arange(40) % CLASSES, CLASSES, seed=0),
        facts={},
        share=0.5,
    )


def with_fusion(model: Model, fusion: str) -> Model:
    """The same experts, joined by a network over what they say."""
    width = WIDTH[model.task.size]
    encoders = {expert.name: expert.encoder for expert in model.experts}
    adapters: dict[str, JsonValue] = {
        name: {"level": "spoken", "encoder_width": width, "n_tokens": encoder.n_tokens}
        for name, encoder in encoders.items()
        if encoder is not None
    }
    told: dict[str, JsonValue] = {
        "fusion": fusion,
        "bridges": [],
        "width": width,
        "n_classes": CLASSES,
        "names": list[JsonValue](model.names),
        "adapters": adapters,
    }
    return replace(model, joined=JoinedNetwork(told, Network(told, torch.full((CLASSES,), 1 / CLASSES))))


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds of one way."""

    size: str
    n_modalities: int
    way: str
    encode: float
    one: float
    all: float

    @property
    def ratio(self) -> float:
        """Encode and ask for all, against encode and ask once."""
        return (self.encode + self.all) / (self.encode + self.one)


def measured(kinds: Sequence[str], size: str, repeats: int) -> list[Row]:
    """The default and every fusion, on one case."""
    default = default_model(kinds, size)
    case = prepared_case(default.recipe)
    heard = listen(default, case)
    models = {"default": default, **{name: with_fusion(default, name) for name in sorted(registry())}}
    masks = subsets(heard.present[0])
    asks: dict[str, Callable[[], object]] = {"encode": lambda: listen(default, case)}
    for way, model in models.items():
        agree(model, heard, masks)
        asks[f"{way}:one"] = asking(model, heard, masks[:1])
        asks[f"{way}:all"] = asking(model, heard, masks)
    took = timed(asks, repeats)
    return [Row(size, len(kinds), way, took["encode"], took[f"{way}:one"], took[f"{way}:all"]) for way in models]


def asking(model: Model, heard: Heard, masks: Array) -> Callable[[], Array]:
    """Probabilities of subsets of the one case."""
    case = np.zeros(len(masks), int)
    return lambda: subset_probabilities(model, heard, case, masks)


def agree(model: Model, heard: Heard, masks: Array) -> None:
    """Every subset among many is answered as alone."""
    many = subset_logits(model, heard, np.zeros(len(masks), int), masks)
    for row, mask in zip(many, masks, strict=True):
        alone = subset_logits(model, heard, np.zeros(1, int), mask[None])[0]
        np.testing.assert_allclose(row, alone, rtol=1e-4, atol=1e-5)


def timed(asks: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(repeats + 2):
        for name, ask in asks.items():
            start = time.thread_time()
            ask()
            if turn > 1:  # the first two warm up
                took[name].append(1000 * (time.thread_time() - start))
    return {name: statistics.median(times) for name, times in took.items()}


def page(rows: Sequence[Row], repeats: int) -> str:
    """What stands in the section."""
    lines = "\n".join(
        f"| {r.size} | {2**r.n_modalities - 1} | {r.way} | {r.encode:.1f} | {r.one:.2f} | {r.all:.2f} | {r.ratio:.3f} |"
        for r in rows
    )
    default = {n: max(r.ratio for r in rows if (r.way, r.n_modalities) == ("default", n)) for n in map(len, SETS)}
    told = ", ".join(f"{ratio:.2f} x for {2**n - 1} subsets" for n, ratio in default.items())
    over = sorted({r.way for r in rows if r.ratio > LIMIT})
    verdict = f"Above {LIMIT} x in some row: {', '.join(over)}." if over else f"All stay within {LIMIT} x."
    return f"""Milliseconds for one case with CT, X-ray, EEG and record (15 subsets), and with a note (31 subsets): one
encoding, then one full answer, or the answers of all subsets. Ratio: (encode + all) / (encode + one).
CPU time of one thread, {machine()}.

| size | subsets | way of joining | encode | one answer | all answers | ratio |
|---|---|---|---|---|---|---|
{lines}

**Default: at most {told}.** {verdict}
Random weights and inputs; the record has as many features as its size allows. Medians of {repeats} alternating repeats;
every answer equals that of its subset alone.
Command: `python -m benchmarks.subsets --repeats {repeats} --page docs/performance.md`"""


def main() -> None:
    """Measure, print, and put the figures into a page."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--repeats", type=int, default=15)
    asked.add_argument("--page", type=Path)
    given = asked.parse_args()
    torch.set_num_threads(1)
    body = page(
        [row for kinds in SETS for size in SIZES for row in measured(kinds, size, given.repeats)], given.repeats
    )
    print(body)
    if given.page:
        write_section(given.page, "All subsets from one encoding", body)


if __name__ == "__main__":
    main()
