"""Does saliency point at what was planted? `python -m benchmarks.saliency --page docs/trust.md --work DIR`.

SIMULATED cases, drawn and rendered in memory, read by the deployed preps. An expert is fitted on natural cases as
`clinic-mm train` fits it; then its saliency is computed for unseen cases of which it says p >= 0.8, and the place where
hiding costs most is held against the planted lesion, or the planted discharges (pointing game: Zhang et al.,
doi:10.1007/s11263-017-1059-x). A hit is within one stride of it. Beside stands the share of all cells that would be
hits, and the same figures of an expert whose training labels were permuted (Adebayo et al., arXiv 1810.03292).

Sizes and strides were chosen on cases of other seeds. Figures are kept in DIR case by case, so that a stopped run goes
on, and kinds can be measured side by side (`--kinds ct`). What an explanation points at hangs on the expert as well as
on the case, most of all in EEG: there five experts are asked, each of a cohort of its own. All take about an hour of
one core. Of images `--experts 1` asks another, and may take hours: some hardly ever say 0.8.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy import ndarray as Array

from benchmarks.section import machine, write_section
from clinic_mm.encoders.run import run_encoder
from clinic_mm.evaluate.metrics import auroc, clopper_pearson
from clinic_mm.predict.experts import Expert, How, judge
from clinic_mm.predict.saliency.asked import Asked
from clinic_mm.predict.saliency.explain import explain
from clinic_mm.predict.saliency.image import body
from clinic_mm.predict.saliency.result import Found
from clinic_mm.prep.base import Prep, Prepared, plan_prep
from clinic_mm.prep.resample import resize
from clinic_mm.signals import CtVolume, EegRecording, Signal, XrayImage
from clinic_mm.simulate import ct, eeg, xray
from clinic_mm.simulate.latent import DELTAS, PREVALENCE
from clinic_mm.task import ModalityTask, Task, parse_task
from clinic_mm.training.crossfit import fit_encoder, fit_how

TITLE: Final = "Saliency points at what was planted"
TRAIN_SEED, TEST_SEED = 101, 202
STEP: Final = 10
"""From the seeds of one expert to those of the next."""
SURE: Final = 0.8
LEAST_V: Final = 1.0
"""Test cases are drawn with at least this hidden value; below, p >= 0.8 is next to never said."""
SPIKE_S: Final = 0.08
"""From the onset of a complex to its spike."""
FIELD: Final = 0.8
"""Channels whose share of the spike is at least this count as those of the discharge."""
GOAL: Final = {"xray": 0.9, "ct": 0.8, "eeg": 0.9}
ASKED: Final = {"xray": (120, (0,)), "ct": (120, (0,)), "eeg": (30, (0, 1, 2, 3, 4))}
"""Cases of each expert, and the numbers of the experts' cohorts."""
WAYS: Final[tuple[How, ...]] = ("plain ridge", "plain trees", "network")

Drawn = tuple[Signal, Any]
"""A signal and where its finding lies."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind is drawn, and what counts as a hit: for each place, whether it is within one stride."""

    draw: Callable[[float, np.random.Generator], Drawn]
    hits: Callable[[Found, Signal, Any], tuple[bool, float, float]]


def draw_xray(v: float, rng: np.random.Generator) -> Drawn:
    """One radiograph and its opacity."""
    image, spot = xray.render(v, rng)
    return XrayImage((np.rint(image) / 4095).astype(np.float32)), spot


def draw_ct(v: float, rng: np.random.Generator) -> Drawn:
    """One CT, in the order of a reader, and its nodule."""
    hu, nodule = ct.render(v, rng)
    ras = np.ascontiguousarray(np.rint(hu).transpose(2, 1, 0)[::-1, ::-1]).astype(np.float32)
    return CtVolume(ras, (ct.SPACING_MM[2], ct.SPACING_MM[1], ct.SPACING_MM[0])), nodule


def draw_eeg(v: float, rng: np.random.Generator) -> Drawn:
    """One recording and the onsets of its discharges."""
    uv, onsets = eeg.render(v, rng)
    return EegRecording((uv * 1e-6).astype(np.float32), eeg.CHANNELS, float(eeg.SFREQ_HZ)), onsets


def hits_xray(found: Found, signal: Signal, spot: xray.Opacity) -> tuple[bool, float, float]:
    """Whether the peak hits, what share of the image would, and how far the peak is from the centre (pixels)."""
    del signal
    rows, columns = found.arrays["row"], found.arrays["column"]
    away = np.stack(np.meshgrid(rows - spot.row, columns - spot.column, indexing="ij"))
    near = _near(away, spot.radius_px, np.array([rows[1] - rows[0], columns[1] - columns[0]]))
    at = np.unravel_index(found.arrays["map"].argmax(), near.shape)
    return bool(near[at]), float(near.mean()), float(np.linalg.norm(away[(slice(None), *at)]))


def hits_ct(found: Found, signal: Signal, nodule: ct.Nodule) -> tuple[bool, float, float]:
    """The same in mm, the share of the body."""
    assert isinstance(signal, CtVolume)
    planted = (-nodule.x_mm, -nodule.y_mm, nodule.z_mm)
    axes = [
        (found.arrays[a] - (n - 1) / 2) * mm - p
        for a, n, mm, p in zip("xyz", signal.hu.shape, signal.spacing_mm, planted, strict=True)
    ]
    away = np.stack(np.meshgrid(*axes, indexing="ij"))
    near = _near(away, nodule.radius_mm, np.array([axis[1] - axis[0] for axis in axes]))
    inside = resize(body(signal.hu).astype(np.float32), near.shape) > 0.5
    at = np.unravel_index(found.arrays["map"].argmax(), near.shape)
    return bool(near[at]), float(near[inside].mean()), float(np.linalg.norm(away[(slice(None), *at)]))


def hits_eeg(found: Found, signal: Signal, onsets: Array) -> tuple[bool, float, float]:
    """The same for window and channel together; how far in seconds."""
    del signal
    times, channels = found.arrays["time_s"], found.names["channels"]
    away = np.abs(times[:, None] - (onsets + SPIKE_S)[None]).min(axis=1)
    near = away <= times[1] - times[0]
    fronts = {c for c, share in zip(eeg.CHANNELS, eeg.SPIKE_FIELD, strict=True) if share >= FIELD}
    at = int(np.abs(times - float(str(found.peak["time_s"]))).argmin())
    chance = float(near.mean()) * sum(c in fronts for c in channels) / len(channels)
    return bool(near[at]) and found.peak["channel"] in fronts, chance, float(away[at])


def _near(away: Array, radius: float, stride: Array) -> Array:
    """Whether offsets from a centre are within one stride, on each axis, of a ball around it."""
    length = np.maximum(np.linalg.norm(away, axis=0), 1e-9)
    outside = away * np.maximum(1 - radius / length, 0)
    return np.asarray((np.abs(outside) <= stride.reshape(-1, *[1] * (away.ndim - 1)) + 1e-6).all(axis=0))


KINDS: Final = {
    "xray": Kind(draw_xray, hits_xray),
    "ct": Kind(draw_ct, hits_ct),
    "eeg": Kind(draw_eeg, hits_eeg),
}


def task_of(kind: str, epochs: int) -> Task:
    """Of one modality."""
    given: dict[str, object] = {"target": "label", "modalities": [kind], "train": {"epochs": epochs, "threads": 1}}
    return parse_task(given)


def latents(kind: str, rng: np.random.Generator) -> Iterator[tuple[int, float]]:
    """Labels and hidden values as the simulator draws them."""
    while True:
        y = int(rng.random() < PREVALENCE)
        yield y, float((y - 0.5) * DELTAS[kind] + rng.standard_normal())


def training(kind: str, prep: Prep[Signal], n: int, number: int) -> tuple[list[Prepared], Array]:
    """Prepared natural cases and their labels, of the cohort with this number."""
    seed = TRAIN_SEED + STEP * number
    rng, source = np.random.default_rng(seed), latents(kind, np.random.default_rng(seed + 1))
    drawn = [next(source) for _ in range(n)]
    return [prep(KINDS[kind].draw(v, rng)[0]) for _, v in drawn], np.array([y for y, _ in drawn])


def fitted(kind: str, how: How, cases: list[Prepared], y: Array, epochs: int) -> Expert:
    """An expert as training fits it."""
    task, plain = task_of(kind, epochs), np.stack([case.plain for case in cases])
    x = np.stack([case.x for case in cases]) if how == "network" else np.zeros((0, 1))
    encoder = fit_encoder(x, y, kind, task, seed=0) if how == "network" else None
    head = None if how == "network" else fit_how(how, plain, None, y, np.arange(len(y)), task)
    return Expert(kind, kind, how, head, encoder)


def sure_cases(kind: str, expert: Expert, prep: Prep[Signal], n: int, number: int) -> Iterator[Drawn]:
    """Unseen cases of which the expert of this number is sure."""
    seed = TEST_SEED + STEP * number
    rng, source = np.random.default_rng(seed), latents(kind, np.random.default_rng(seed + 1))
    found = 0
    while found < n:
        signal, truth = KINDS[kind].draw(next(v for _, v in source if v >= LEAST_V), rng)
        if _says(expert, prep, signal) >= SURE:
            found += 1
            yield signal, truth


def _says(expert: Expert, prep: Prep[Signal], signal: Signal) -> float:
    return float(1 / (1 + np.exp(-Asked(expert, prep, 1).one(signal))))


def measure(path: Path, kind: str, how: How, number: int, asked: argparse.Namespace) -> None:
    """Append a line per case to what was measured already: of an expert, and of one with permuted labels."""
    most = asked.cases or ASKED[kind][0]
    if path.is_file() and len(path.read_text("utf-8").splitlines()) > most:
        return
    prep = plan_prep(kind, "tiny", ModalityTask(kind=kind))
    cases, y = training(kind, prep, asked.train, number)
    expert = fitted(kind, how, cases, y, asked.epochs)
    shuffled = fitted(kind, how, cases, np.random.default_rng(0).permutation(y), asked.epochs)
    if not path.is_file():
        half = asked.train // 2
        checked = fitted(kind, how, cases[:half], y[:half], asked.epochs)
        score = _auroc(checked, cases[half:], y[half:])
        first = {"kind": kind, "how": how, "number": number, "n_train": asked.train, "auroc": score}
        path.write_text(json.dumps(first) + "\n", encoding="utf-8")
    for at, (signal, truth) in enumerate(sure_cases(kind, expert, prep, most, number)):
        if at < len(path.read_text("utf-8").splitlines()) - 1:
            continue
        started = time.process_time()
        one = explain(expert, prep, signal, 1)
        seconds = time.process_time() - started
        hit, chance, away = KINDS[kind].hits(one, signal, truth)
        told = {"hit": hit, "chance": chance, "away": away, "seconds": seconds, "asked": one.asked}
        if at < asked.permuted:
            told["permuted"] = KINDS[kind].hits(explain(shuffled, prep, signal, 1), signal, truth)[0]
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")


def figures(path: Path) -> dict[str, Any]:
    """Of all cases measured so far."""
    first, *rows = map(json.loads, path.read_text("utf-8").splitlines())
    means = {name: float(np.mean([row[name] for row in rows])) for name in ("chance", "seconds", "asked")}
    permuted = [row["permuted"] for row in rows if "permuted" in row]
    away = float(np.median([row["away"] for row in rows]))
    counts = {"n": len(rows), "hits": sum(row["hit"] for row in rows)}
    return {**first, **means, **counts, "away": away, "n_permuted": len(permuted), "hits_permuted": sum(permuted)}


def _auroc(expert: Expert, cases: list[Prepared], y: Array) -> float:
    """Of an expert fitted on the other half of the training cases."""
    spoken = None if expert.encoder is None else run_encoder(expert.encoder, np.stack([case.x for case in cases]))
    return float(auroc(judge(expert.how, expert.head, np.stack([case.plain for case in cases]), spoken), y))


NAMES: Final = {"xray": "X-ray", "ct": "CT", "eeg": "EEG"}
UNITS: Final = {"xray": "pixels of 128", "ct": "mm", "eeg": "s"}


def section(results: list[Mapping[str, Any]], command: str) -> str:
    """The section of the page."""
    rows = [_row(one) for one in results]
    head = (
        "| evidence | expert | AUROC | hits | share (95 %) | goal | by chance | permuted labels | off the centre | "
        "seconds, asked |\n|---|---|---|---|---|---|---|---|---|---|\n"
    )
    told = " ".join(_together(kind, how, results) for kind, how in dict.fromkeys(_whose(one) for one in results))
    return (
        "SIMULATED cases. An expert of one modality for each of several cohorts, fitted on natural cases; then unseen "
        f"cases of which it says p ≥ {SURE}. A hit: the place where hiding costs most lies within one stride of the "
        "planted "
        "opacity or nodule; for EEG the window within one stride (0.5 s) of a planted spike, and the channel among "
        f"those with at least {FIELD:.0%} of the largest spike. *By chance*: the share of places that would be hits. "
        "*Permuted labels*: the same cases, explained by an expert trained on permuted labels (arXiv 1810.03292). "
        "*AUROC*: on one half of the training cases, fitted on the other. Intervals: Clopper–Pearson.\n\n"
        + head
        + "\n".join(rows)
        + f"\n\n{told} CPU seconds of one thread per piece of evidence, and how often its expert was asked. "
        "How windows of an EEG are judged (all bands that speak for the class, together) was chosen on cohorts 11 to "
        "20, after the dearest single band had hit 196 of 240 in cohorts 1 to 5. Where permuted labels hit as well, a "
        "hit says little: a discharge is the largest event of a recording, and moves what any expert looks at.\n\n"
        f"    {command}\n\n{machine()}."
    )


def _whose(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["kind"], one["how"]


def _together(kind: str, how: str, results: list[Mapping[str, Any]]) -> str:
    """All experts of one way on one modality: hits, and who falls short."""
    ours = [one for one in results if _whose(one) == (kind, how)]
    hits, n, goal = sum(one["hits"] for one in ours), sum(one["n"] for one in ours), GOAL[kind]
    short = sum(one["hits"] < goal * one["n"] for one in ours)
    least = min(one["hits"] / one["n"] for one in ours)
    reached = "reaches" if hits >= goal * n else "**is short of**"
    return (
        f"{NAMES[kind]} by {how}: {hits} of {n} ({hits / n:.3f}) {reached} {goal}; "
        f"{short} of {len(ours)} experts alone fall short (least {least:.3f})."
    )


def _row(one: Mapping[str, Any]) -> str:
    low, high = clopper_pearson(one["hits"], one["n"])
    shuffled = f"{one['hits_permuted']} of {one['n_permuted']}" if one["n_permuted"] else "–"
    return (
        f"| {NAMES[one['kind']]} | {one['how']}, {one['n_train']} cases, cohort {one['number'] + 1} "
        f"| {one['auroc']:.2f} "
        f"| {one['hits']} of {one['n']} | {one['hits'] / one['n']:.3f} ({low:.3f} to {high:.3f}) "
        f"| {GOAL[one['kind']]:.1f} | {one['chance']:.2f} | {shuffled} "
        f"| {one['away']:.2g} {UNITS[one['kind']]} | {one['seconds']:.1f}, {one['asked']:.0f} |"
    )


def main() -> None:
    """Measure what is not there yet, and write the section."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--page", type=Path)
    given.add_argument("--work", type=Path, required=True, help="figures already measured")
    given.add_argument("--cases", type=int, help="of each expert, in place of those of its kind")
    given.add_argument("--train", type=int, default=600)
    given.add_argument("--permuted", type=int, default=50)
    given.add_argument("--epochs", type=int, default=20)
    given.add_argument("--ways", nargs="+", default=["plain ridge"], choices=WAYS)
    given.add_argument("--experts", type=int, nargs="+", help="numbers of their cohorts, in place of those of the kind")
    given.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    asked = given.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    for kind, how in itertools.product(asked.kinds, asked.ways):
        for number in asked.experts or ASKED[kind][1]:
            measure(asked.work / f"{kind}.{how.replace(' ', '_')}.{number}.jsonl", kind, how, number, asked)
    begun = [path for path in sorted(asked.work.glob("*.jsonl")) if len(path.read_text("utf-8").splitlines()) > 1]
    results = [figures(path) for path in begun]
    text = section(results, "python -m benchmarks.saliency --page docs/trust.md --work runs/saliency")
    print(text)
    if asked.page:
        write_section(asked.page, TITLE, text)


if __name__ == "__main__":
    main()
