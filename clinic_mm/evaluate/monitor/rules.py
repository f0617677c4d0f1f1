"""Which alarm hides what: the rules of the policy, applied.

In:  alarms. Out: one Stop per rule and modality or pattern, since its earliest alarm.
"""

from collections.abc import Sequence

from clinic_mm.evaluate.monitor.policy import Policy
from clinic_mm.evaluate.monitor.state import Alarm, Stop


def stops_of(alarms: Sequence[Alarm], policy: Policy) -> tuple[Stop, ...]:
    """What is hidden, or warned of. An alarm that no rule fits hides everything: unknown is never guessed away."""
    found: dict[tuple[str, str, str], Stop] = {}
    for alarm in sorted(alarms, key=lambda a: a.since.number):
        rule = policy.rule_of(alarm.about, alarm.what)
        name = alarm.name.replace("+", " + ")
        if rule is None:
            said = f"{alarm.what} of {name or 'all answers'} has changed, and no rule says what that means"
            stop = Stop(hide="all", name="", say=said, mend="Add a rule to the policy", since=alarm.since)
        else:
            said = rule.say.format(name=name)
            stop = Stop(hide=rule.hide, name=alarm.name, say=said, mend=rule.mend, since=alarm.since)
        found.setdefault((stop.hide, stop.name, stop.say), stop)
    return tuple(found.values())
