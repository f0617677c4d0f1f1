"""Choose the sentences of a draft by votes: what most of them say, each finding once, nothing against itself.

In:  sentences with votes, and how many of each kind a draft has. Out: the chosen sentences, findings first.

Sentences that say the same of the same findings vote together; the one with the most votes of its own stands for them.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from typing import NamedTuple

from clinic_mm.drafting.findings import Mention, contradicts, in_sentence
from clinic_mm.drafting.words import Tokens


class Slots(NamedTuple):
    """How many sentences a draft has: of those that name a finding, and of the others."""

    findings: int
    others: int


def says(sentence: Tokens) -> Hashable:
    """What a sentence says: its mentions, or its words where it names no finding."""
    return in_sentence(sentence) or sentence


def choose(votes: Mapping[Tokens, float], slots: Slots) -> list[Tokens]:
    """The sentences of a draft.

    Args:
        votes: Weight of each sentence.
        slots: How many are wanted.
    """
    groups: dict[Hashable, list[tuple[float, Tokens]]] = defaultdict(list)
    for sentence, weight in votes.items():
        groups[says(sentence)].append((weight, sentence))
    ranked = sorted(groups.values(), key=lambda some: (-sum(weight for weight, _ in some), min(s for _, s in some)))
    findings: list[Tokens] = []
    others: list[Tokens] = []
    told: frozenset[Mention] = frozenset()
    for some in ranked:
        _, sentence = min(some, key=lambda one: (-one[0], one[1]))
        mentions = in_sentence(sentence)
        if not mentions:
            others.append(sentence)
        elif adds(mentions, told) and len(findings) < slots.findings:
            findings.append(sentence)
            told |= mentions
    return findings + others[: slots.others]


def adds(mentions: frozenset[Mention], told: frozenset[Mention]) -> bool:
    """Whether a sentence says of findings what was not said yet, and nothing against what was."""
    return not contradicts(mentions, told) and not mentions <= told
