"""How often monitoring gives a false alarm, and how soon a true one: the figures of docs/trust.md.

    python -m benchmarks.monitoring --page docs/trust.md            (half an hour of one core)
    python -m benchmarks.monitoring --streams 10 --fits 1           (a look)

Streams are drawn from the simulator's latent, told through noisy plain summaries, and answered by models that are
really fitted (experts, second level, calibration). Every stream has a reference of its own, of 1,500 new cases. The
policy is schemas/monitor.toml as it stands; its constants were chosen before, on other seeds.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray as Array

from benchmarks.section import write_section
from benchmarks.streams import (
    WORLD,
    Drawn,
    drawn,
    fitted,
    labels_of,
    prepared_of,
    reference_of_stream,
    stream_of_prepared,
)
from clinic_mm.evaluate.monitor.outcomes import Outcomes
from clinic_mm.evaluate.monitor.policy import Policy, read_policy
from clinic_mm.evaluate.monitor.scores import Reference, Stream
from clinic_mm.evaluate.monitor.state import MonitorState
from clinic_mm.evaluate.monitor.watch import drift_families, outcome_families, ranks_of, watch_stream
from clinic_mm.evaluate.page import markdown
from clinic_mm.jobs.monitor_reference import reference_of_model
from clinic_mm.predict.model import Model

TRAINED: Final = 2000
REFERENCE: Final = 1500
LONG: Final = 10_000
BEFORE, SOON, AFTER = 300, 700, 2000
FIRST_SEED: Final = 70_000
"""Of the scored streams; nothing was chosen on seeds from here on."""
WITHIN: Final = 200
STREAMS: Final = 100
FITS: Final = 4


@cache
def model_of(k: int) -> Model:
    """Models fitted on different cases."""
    return fitted(prepared_of(drawn(TRAINED, 100 + k)))


def quiet(seed: int, fits: int, policy: Policy) -> tuple[int, int, int]:
    """False alarms of one long stream in which nothing changes; detectors begin anew after each.

    Returns:
        Of drift, of outcomes, and of drift with the model's training as reference instead.
    """
    model = model_of(seed % fits)
    known = reference_of_stream(stream_of_prepared(model, prepared_of(drawn(REFERENCE, seed + 1_000_000))))
    prepared = prepared_of(drawn(LONG, seed, first=REFERENCE))
    stream = stream_of_prepared(model, prepared)
    label = labels_of(stream, prepared)
    drift = drift_families(_ranks(stream, known, policy), policy, restart=True)
    trained = drift_families(_ranks(stream, reference_of_model(model, "m"), policy), policy, restart=True)
    outcome = outcome_families(stream, known, label, policy, restart=True)
    drifted, followed, from_training = (
        sum(int(family.seen.alarm.sum()) for family in some) for some in (drift, outcome, trained)
    )
    return drifted, followed, from_training


def _ranks(stream: Stream, known: Reference, policy: Policy) -> dict[object, Array]:
    return ranks_of(stream, known, known.watched(policy.reference.fewest_of_score))  # type: ignore[return-value]


def changed(seed: int, fits: int, policy: Policy) -> list[tuple[str, int | None, int]]:
    """What is planted in one stream, cases until the first alarm that it explains (None for never), alarms before."""
    return list(_changed(seed, model_of(seed % fits), policy))


def _changed(seed: int, model: Model, policy: Policy) -> Iterator[tuple[str, int | None, int]]:
    known = reference_of_stream(stream_of_prepared(model, prepared_of(drawn(REFERENCE, seed + 1_000_000))))
    cases = drawn(BEFORE + AFTER, seed, first=REFERENCE)
    short = cases.part(np.arange(BEFORE + SOON))
    for column, name in enumerate(WORLD.modalities):
        one = _watched(model, short.shifted(column, 1.0, BEFORE), known, policy)
        half = _watched(model, short.shifted(column, 0.5, BEFORE), known, policy)
        gone = _watched(model, short.gone(column, BEFORE), known, policy)
        yield f"1 SD in {name}", *_delay(one, lambda a, name=name: a.name == name and a.what != "present")
        yield f"0.5 SD in {name}", *_delay(half, lambda a, name=name: a.name == name and a.what != "present")
        yield f"{name} gone", *_delay(gone, lambda a, name=name: a.name == name and a.what == "present")
    for name, prevalence in (("prevalence 0.30 → 0.50", 0.5), ("prevalence 0.30 → 0.15", 0.15)):
        moved = prevalence_moved(cases, prevalence, seed)
        yield name, *_delay(_watched(model, moved, known, policy), lambda a: a.what == "calibration")
    flipped = Drawn(_flipped(cases.y, seed), cases.v, cases.noise, cases.present, cases.first)
    told = _watched(model, flipped, known, policy)
    yield "a quarter of outcomes at random", *_delay(told, lambda a: a.what in ("calibration", "coverage"))


def _watched(model: Model, cases: Drawn, known: Reference, policy: Policy) -> tuple[MonitorState, Array]:
    prepared = prepared_of(cases)
    stream = stream_of_prepared(model, prepared)
    label = labels_of(stream, prepared)
    number = np.array([int(key[1:]) - cases.first for key in stream.frame["case_key"]])
    return watch_stream(stream, known, policy, Outcomes(label, len(label), 0)).state, number


def _delay(told: tuple[MonitorState, Array], means: Callable[..., bool]) -> tuple[int | None, int]:
    state, number = told
    at = [(int(number[a.at.number - 1]) - BEFORE, a) for a in state.alarms]
    after = [delay for delay, alarm in at if delay >= 0 and means(alarm)]
    return min(after) + 1 if after else None, sum(delay < 0 for delay, _ in at)


def prevalence_moved(cases: Drawn, prevalence: float, seed: int) -> Drawn:
    """The same cases; from BEFORE on drawn again, with another share of the ill."""
    rng = np.random.default_rng(seed + 7)
    later = np.arange(BEFORE, len(cases.y))
    ill, well = later[cases.y[later] == 1], later[cases.y[later] == 0]
    is_ill = rng.random(len(later)) < prevalence
    chosen = np.where(is_ill, rng.choice(ill, len(later)), rng.choice(well, len(later)))
    return cases.part(np.concatenate([np.arange(BEFORE), chosen]))


def _flipped(y: Array, seed: int) -> Array:
    rng = np.random.default_rng(seed + 8)
    chance = (rng.random(len(y)) < 0.25) & (np.arange(len(y)) >= BEFORE)
    return np.where(chance, rng.random(len(y)) < y.mean(), y).astype(int)


def poisson_interval(count: int, exposure: float) -> tuple[float, float]:
    """Exact 95 % interval of a rate (Garwood 1936, doi:10.1093/biomet/28.3-4.437)."""
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low / exposure), float(chi2.ppf(0.975, 2 * count + 2) / 2 / exposure)


def main() -> None:
    """Measure, print, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--fits", type=int, default=FITS)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    begun, policy = time.perf_counter(), read_policy()
    seeds = range(FIRST_SEED, FIRST_SEED + given.streams)
    false = np.zeros(3, dtype=int)
    delays: dict[str, list[tuple[int | None, int]]] = {}
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        for seed, found in zip(seeds, pool.map(partial(quiet, fits=given.fits, policy=policy), seeds), strict=True):
            false += found
            print(f"quiet {seed - FIRST_SEED + 1}: {false} ({time.perf_counter() - begun:.0f} s)", flush=True)
        later = [seed + 10_000 for seed in seeds]
        for seed, rows in zip(seeds, pool.map(partial(changed, fits=given.fits, policy=policy), later), strict=True):
            for name, delay, before in rows:
                delays.setdefault(name, []).append((delay, before))
            print(f"changed {seed - FIRST_SEED + 1} ({time.perf_counter() - begun:.0f} s)", flush=True)
    body = told(false, delays, given.streams, given.fits, policy)
    print(body)
    if given.page:
        write_section(given.page, "Monitoring", body)


def told(false: Array, delays: dict[str, list[tuple[int | None, int]]], streams: int, fits: int, policy: Policy) -> str:
    """The section."""
    rows = []
    names = ("drift, against a run of 1,500 unseen cases", "outcomes (all known)", "both together")
    for name, count in zip(names, (false[0], false[1], false[0] + false[1]), strict=True):
        rows.append(_false_row(name, int(count), streams))
    rows.append(_false_row("drift, against what the model kept of its training", int(false[2]), streams))
    found = [_delay_row(name, seen) for name, seen in delays.items()]
    early = sum(before for seen in delays.values() for _, before in seen)
    exposure = BEFORE * sum(map(len, delays.values()))
    return TEXT.format(
        streams=streams,
        fits=fits,
        planted=max(map(len, delays.values()), default=0),
        given="" if (streams, fits) == (STREAMS, FITS) else f" --streams {streams} --fits {fits}",
        false=markdown(["detectors", "false alarms", "per 10,000 cases (95 %)"], rows),
        delays=markdown(["planted", f"found within {WITHIN}", "found at all", "median", "95th percentile"], found),
        early=early,
        exposure=f"{exposure:,}",
        within=WITHIN,
        budget=f"{policy.budget.cases_between_false_alarms:,}",
        soon=SOON,
        after=f"{AFTER:,}",
        before=BEFORE,
    )


def _false_row(name: str, count: int, streams: int) -> list[str]:
    low, high = poisson_interval(count, streams * LONG / 10_000)
    return [
        name,
        f"{count} in {streams * LONG:,} cases",
        f"{count / streams / (LONG / 10_000):.3f} ({low:.3f} to {high:.3f})",
    ]


def _delay_row(name: str, seen: list[tuple[int | None, int]]) -> list[str]:
    delay = np.array([np.inf if found is None else found for found, _ in seen])
    quantile = [float(np.quantile(delay, q, method="higher")) for q in (0.5, 0.95)]
    return [
        name,
        f"{int((delay <= WITHIN).sum())} of {len(delay)}",
        f"{int(np.isfinite(delay).sum())} of {len(delay)}",
        *(f"{q:.0f}" if np.isfinite(q) else "later" for q in quantile),
    ]


TEXT: Final = """    python -m benchmarks.monitoring --page docs/trust.md{given}

SIMULATED: five modalities drawn from the simulator's latent (each present in 70 % of cases), told through noisy plain
summaries, answered by {fits} models that are really fitted on 2,000 cases each (ridge experts; pool, temperatures and
thresholds as every model has them; what lies outside is not looked for). {streams} streams without a change and
{planted} with each change, every one with a reference of its own of 1,500 new cases; the constants of
`schemas/monitor.toml` were chosen before, on other seeds. All detectors run together (up to eight scores per modality,
two per frequent combination, calibration and coverage over all and per combination), with one budget: at least {budget}
cases between two false alarms while nothing changes.

**False alarms** while nothing changes, 10,000 cases a stream, detectors restarted after each alarm:

{false}

**Delay** in cases, all cases counted, with and without the modality, from the first changed case to the first alarm
that names what was planted ({before} quiet cases before, {soon} after or, for outcomes, {after}; all outcomes are known
at once). A shift is of the hidden evidence, in standard deviations within a class.

{delays}

In the {exposure} quiet cases before the changes there were {early} alarms.
"""


if __name__ == "__main__":
    main()
