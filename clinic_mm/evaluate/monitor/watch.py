"""Watch a stream: all scores against the reference, all answers against their outcomes, one budget of false alarms.

In:  a Stream, a Reference, Outcomes where there are any, a Policy. Out: Watched: the state, and what figures are of.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.special import ndtri

from clinic_mm.evaluate.metrics import claim
from clinic_mm.evaluate.monitor.detect import Watch, began, bets_on_ranks, watch
from clinic_mm.evaluate.monitor.outcomes import Outcomes, calibration_bets, coverage_bets
from clinic_mm.evaluate.monitor.policy import Policy
from clinic_mm.evaluate.monitor.ranks import coins, p_values
from clinic_mm.evaluate.monitor.rules import hidden, stops_of
from clinic_mm.evaluate.monitor.scores import PRESENT, SHARE, Reference, Score, Stream
from clinic_mm.evaluate.monitor.state import Alarm, Detector, MonitorState, OutcomesSeen, Place

CALIBRATION: Final = "calibration"
COVERAGE: Final = "coverage"
Z95: Final = 1.96
WIDE: Final = 1.3
"""Ratio of standard deviations from which a change is told as one of scatter."""


@dataclass(frozen=True, slots=True)
class Family:
    """Detectors that share a part of the budget.

    Attributes:
        scores: What each watches.
        e: e-values.
        threshold: Of each.
        seen: By the detectors, after all cases.
    """

    scores: tuple[Score, ...]
    e: Float[Array, "t k a"]
    threshold: float
    seen: Watch


@dataclass(frozen=True, slots=True)
class Watched:
    """The state, and what figures and tables are made of."""

    state: MonitorState
    stream: Stream
    families: tuple[Family, ...]
    outcomes: Outcomes | None = None


def watch_stream(
    stream: Stream, reference: Reference, policy: Policy, outcomes: Outcomes | None = None, *, simulated: bool = False
) -> Watched:
    """Watch a stream.

    Args:
        stream: Cases in time order.
        reference: What they are held against.
        policy: What is watched, how sure an alarm must be, what it hides.
        outcomes: What became of the cases, as far as it is known.
        simulated: Said in the state.
    """
    scores = reference.watched(policy.reference.fewest_of_score)
    ranks = ranks_of(stream, reference, scores)
    families = drift_families(ranks, policy)
    alarms = [alarm for family in families for alarm in _drift_alarms(family, stream, reference)]
    if outcomes is not None:
        outcomes = outcomes.without(hidden(stops_of(alarms, policy), stream.frame["pattern"].to_numpy(dtype=str)))
        later = outcome_families(stream, reference, outcomes.label, policy)
        alarms += [alarm for family in later for alarm in _outcome_alarms(family, stream, outcomes.label)]
        families += later
    state = MonitorState(
        model_hash=reference.model_hash,
        reference=reference.kind,
        reference_cases=reference.cases,
        cases=len(stream),
        passed_over=stream.passed_over,
        first=place(stream, 0),
        last=place(stream, len(stream) - 1),
        simulated=simulated,
        cases_between_false_alarms=policy.budget.cases_between_false_alarms,
        outcomes=_seen(outcomes),
        alarms=tuple(sorted(alarms, key=lambda a: a.at.number)),
        stops=stops_of(alarms, policy),
        detectors=tuple(d for family in families for d in _detectors(family, reference)),
    )
    return Watched(state, stream, tuple(families), outcomes)


def ranks_of(
    stream: Stream, reference: Reference, scores: Sequence[Score], *, coin: Mapping[Score, Array] | None = None
) -> dict[Score, Float[Array, " n"]]:
    """p-values of every watched score; a score that the stream lacks altogether is NaN, a pattern that never came 0."""
    keys, out = stream.frame["case_key"].to_numpy(dtype=str), {}
    for score in scores:
        missing = 0.0 if score.what in (PRESENT, SHARE) else np.nan
        values = stream.values.get(score, np.full(len(stream), missing))
        own = coin[score] if coin else coins(keys, "|".join(score))
        out[score] = p_values(reference.values[score], values, own)
    return out


def drift_families(ranks: Mapping[Score, Float[Array, " n"]], policy: Policy, *, restart: bool = False) -> list[Family]:
    """Detectors of drift: of modalities, and of patterns."""
    families = []
    for about in ("modality", "pattern"):
        scores = tuple(score for score in ranks if score.about == about)
        if scores:
            bets = [bets_on_ranks(ranks[score], policy.drift.shifts, policy.drift.spreads) for score in scores]
            share = policy.budget.share[about]
            families.append(_family(scores, np.stack(bets, axis=1), share, policy, restart=restart))
    return families


def outcome_families(
    stream: Stream, reference: Reference, label: Int[Array, " n"], policy: Policy, *, restart: bool = False
) -> list[Family]:
    """Detectors of calibration and of coverage: of all answers, and of each pattern that came often."""
    patterns = stream.frame["pattern"].to_numpy(dtype=str)
    often = [s.name for s in reference.watched(policy.reference.fewest_of_score) if s.what == SHARE]
    known = label >= 0
    owns = {"": known, **{name: known & (patterns == name) for name in often}}
    missed = ~stream.sets[np.arange(len(stream)), np.maximum(label, 0)]
    calibration = calibration_bets(stream.probabilities, label, policy.calibration)
    coverage = coverage_bets(missed, stream.level, stream.set_n, policy.coverage)
    half = policy.budget.share["outcome"] / 2
    families = []
    for what, bets in ((CALIBRATION, calibration), (COVERAGE, coverage)):
        scores = tuple(Score("pattern" if name else "all", name, what) for name in owns)
        e = np.stack([np.where(own[:, None], bets, np.nan) for own in owns.values()], axis=1)
        families.append(_family(scores, e, half, policy, restart=restart))
    return families


def _family(
    scores: tuple[Score, ...], e: Float[Array, "t k a"], share: float, policy: Policy, *, restart: bool
) -> Family:
    """Each detector gets the same part of its family's share: 1/c sums to share / cases between false alarms."""
    threshold = policy.budget.cases_between_false_alarms * len(scores) / share
    return Family(scores, e, threshold, watch(e, np.full(len(scores), threshold), restart=restart))


def place(stream: Stream, index: int) -> Place:
    """A case of the stream, as a person counts."""
    time = stream.frame["time"].iloc[index]
    return Place(number=index + 1, time=None if time is None or time != time else time.to_pydatetime())


def _drift_alarms(family: Family, stream: Stream, reference: Reference) -> Iterator[Alarm]:
    for score, at, since, alarm in _alarms(family, stream):
        values, known = stream.values.get(score), reference.values[score]
        if score.what in (PRESENT, SHARE):
            now = 0.0 if values is None else float(values[since:].mean())
            yield alarm(
                change=f"in {100 * now:.0f} % of cases since, {100 * float(known.mean()):.0f} % in the reference"
            )
        else:
            assert values is not None, f"a score that the stream lacks cannot alarm at {at}"
            yield alarm(change=_moved(np.concatenate([known, values[:since]]), values[since:]))


def _outcome_alarms(family: Family, stream: Stream, label: Int[Array, " n"]) -> Iterator[Alarm]:
    for score, _, since, alarm in _alarms(family, stream):
        yield alarm(change=_against_outcomes(score, stream, label, since))


def _alarms(family: Family, stream: Stream) -> Iterator[tuple[Score, int, int, Callable[..., Alarm]]]:
    """Each alarm: its score, where it was given, where the change began, and what makes it of words."""
    for k, score in enumerate(family.scores):
        for at in np.flatnonzero(family.seen.alarm[:, k]).tolist():
            since = began(family.e[:, k], at)
            told = {"about": score.about, "name": score.name, "what": score.what, "chance_cases": int(family.threshold)}
            yield score, at, since, partial(Alarm, **told, at=place(stream, at), since=place(stream, since))


def _moved(before: Float[Array, " b"], after: Float[Array, " a"]) -> str:
    """How far a score has moved, in standard deviations of what it was before (as ranks would be of a normal)."""
    bag, new = np.sort(before[~np.isnan(before)]), after[~np.isnan(after)]
    middle = (np.searchsorted(bag, new, side="left") + np.searchsorted(bag, new, side="right")) / 2
    z = ndtri((middle + 0.5) / (len(bag) + 1))
    mean, spread, error = float(z.mean()), float(z.std()), float(z.std() / np.sqrt(len(z)))
    told = f"moved by {mean:+.1f} SD ({mean - Z95 * error:+.1f} to {mean + Z95 * error:+.1f}, n = {len(z)})"
    if spread > WIDE or spread < 1 / WIDE:
        told += f", and scatters {spread:.1f} times as widely"
    return told


def _against_outcomes(score: Score, stream: Stream, label: Int[Array, " n"], since: int) -> str:
    patterns = stream.frame["pattern"].to_numpy(dtype=str)
    own = (label >= 0) & (np.arange(len(stream)) >= since) & ((patterns == score.name) | (score.name == ""))
    y, p = label[own], stream.probabilities[own]
    if score.what == COVERAGE:
        held = float(stream.sets[own][np.arange(len(y)), y].mean())
        return f"sets held the truth in {100 * held:.0f} % of {len(y)} cases since, {100 * stream.level:.0f} % promised"
    said, top = claim(p)
    name = stream.classes[1] if len(stream.classes) == 2 else "the most probable class"
    seen = 100 * float((y == top).mean())
    return f"{name} came true in {seen:.0f} % of {len(y)} cases since, {100 * float(said.mean()):.0f} % was said"


def _detectors(family: Family, reference: Reference) -> list[Detector]:
    last: Float[Array, " k"] = family.seen.evidence[-1]
    judged: Bool[Array, "t k"] = ~np.isnan(family.e).any(axis=2)
    return [
        Detector(
            about=score.about,
            name=score.name,
            what=score.what,
            reference=len(reference.values.get(score, ())),
            seen=int(judged[:, k].sum()),
            evidence=float(np.round(min(last[k], 1e6), 6)),
        )
        for k, score in enumerate(family.scores)
    ]


def _seen(outcomes: Outcomes | None) -> OutcomesSeen | None:
    if outcomes is None:
        return None
    judged = int((outcomes.label >= 0).sum())
    return OutcomesSeen(
        known=outcomes.known,
        judged=judged,
        strangers=outcomes.strangers,
        waiting=outcomes.waiting,
        late=outcomes.late,
        undated=outcomes.undated,
        hidden=outcomes.hidden,
    )
