"""What must be known before a model's figures are believed: sentences of the policy, chosen by the artifact's facts."""

from collections.abc import Mapping
from typing import Any, Final

FEWEST_PATIENTS: Final = 500
RARE: Final = 100
MOST_NAMED: Final = 12


def limits_of(
    told: Mapping[str, Any], sets: Mapping[str, Any], words: Mapping[str, Any], *, evaluated: bool
) -> list[str]:
    """Sentences, the gravest first.

    Args:
        told: `model.json`.
        sets: `calibration.json`.
        words: `[limits]` of the policy.
        evaluated: Whether figures on unseen patients stand in the card.
    """
    facts = told["facts"]
    checks = facts.get("checks")
    rare = [pattern or "nothing" for pattern, n in facts["patterns"].items() if n < RARE]
    named = ", ".join(rare[:MOST_NAMED]) + (f" and {len(rare) - MOST_NAMED} more" if len(rare) > MOST_NAMED else "")
    chosen = [
        (checks is not None and checks["accepted"], words["accepted"]),
        (checks is None, words["unchecked"]),
        (facts["n_patients"] < FEWEST_PATIENTS, words["small"].format(n_patients=facts["n_patients"])),
        (bool(rare), words["rare"].format(fewest=RARE, patterns=named)),
        (not _gains(facts["verdict"]), words["no_gain"]),
        (sets.get("guarantee", "approximate") == "approximate", words["approximate"]),
        (not any(expert["network"] for expert in told["experts"]), words["networks"]),
        (not evaluated, words["unevaluated"]),
        (told["task"].get("advice", {}).get("bank", False), words["bank"]),
    ]
    return [sentence for holds, sentence in chosen if holds] + list(words["always"])


def _gains(verdict: Mapping[str, Any]) -> bool:
    """Whether the whole interval of some gain lies above 0."""
    return any(row["low"] is not None and row["low"] > 0 for row in verdict["rows"])
