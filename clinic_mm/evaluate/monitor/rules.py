"""Which alarm hides what: the rules of the policy, applied.

In:  alarms. Out: one Stop per rule and modality or pattern, the first alarm first.

A pattern's alarm that an earlier one of a modality in it explains gives no stop of its own: its answers are hidden
already, or it comes more or less often because the modality does. Nor does any once everything is hidden. All stand
among the alarms all the same.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from clinic_mm.evaluate.monitor.policy import Policy, Rule
from clinic_mm.evaluate.monitor.scores import PRESENT, SHARE
from clinic_mm.evaluate.monitor.state import Alarm, Stop
from clinic_mm.evaluate.monitor.words import known_about
from clinic_mm.report.run import JOIN


def stops_of(alarms: Sequence[Alarm], policy: Policy) -> tuple[Stop, ...]:
    """What is hidden, or warned of. An alarm that no rule fits hides everything: unknown is never guessed away."""
    found: dict[tuple[str, str, str], Stop] = {}
    changed: set[str] = set()
    moved: set[str] = set()
    for alarm in sorted(alarms, key=lambda a: (a.at.number, a.about)):
        rule = policy.rule_of(alarm.about, alarm.what)
        if alarm.about == "modality":
            changed |= {alarm.name} if alarm.what == PRESENT else set()
            moved |= {alarm.name} if rule is not None and rule.hide == "modality" else set()
        all_hidden = any(stop.hide == "all" for stop in found.values())
        if all_hidden or (alarm.about == "pattern" and _explained(alarm, changed, moved)):
            continue
        stop = _stop(alarm, rule)
        found.setdefault((stop.hide, stop.name, stop.say), stop)
    return tuple(found.values())


def _explained(alarm: Alarm, changed: set[str], moved: set[str]) -> bool:
    """A share by any modality that comes more or less often; an answer by one in it that is hidden."""
    return bool(changed) if alarm.what == SHARE else bool(moved & set(alarm.name.split(JOIN)))


def _stop(alarm: Alarm, rule: Rule | None) -> Stop:
    name = known_about(alarm.about, alarm.name)
    if rule is None:
        said = f"{alarm.what} of {name} has changed, and no rule says what that means"
        return Stop(hide="all", name="", say=said, mend="Add a rule to the policy", since=alarm.since, at=alarm.at)
    said = rule.say.format(name=name)
    return Stop(hide=rule.hide, name=alarm.name, say=said, mend=rule.mend, since=alarm.since, at=alarm.at)


def hidden(stops: Sequence[Stop], patterns: Array) -> Bool[Array, " n"]:
    """Which cases of a stream came when answers like theirs were hidden."""
    out = np.zeros(len(patterns), dtype=bool)
    for stop in stops:
        own = [pattern for pattern in np.unique(patterns) if stop.hides(tuple(str(pattern).split(JOIN)))]
        out |= np.isin(patterns, own) & (np.arange(len(patterns)) >= stop.at.number)
    return out
