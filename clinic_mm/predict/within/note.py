"""What the words of a note add to the opinion of the note's expert.

In:  notes of k cases, prepared, and where they lie. Out: a `Within` for each: places of words and what each adds.

The text is read again and given up at once: only characters' numbers leave here. An expert on hashed n-grams has exact
shares: what an n-gram's place adds belongs to the n-grams of the text that are hashed there, in equal parts, and half
of a pair of words to each of the two. What the text does not say adds too, and stands in `rest`. Any other expert is
asked again without each word, where that is wanted; of a long note without each sentence, and without each word of the
weightiest ones.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64, Int
from numpy import ndarray as Array

from clinic_mm.cohort.load import load_evidence
from clinic_mm.errors import EvidenceError
from clinic_mm.predict.within.asked import Asked
from clinic_mm.predict.within.head_shares import HeadShares
from clinic_mm.predict.within.told import Way, Within, WordShare
from clinic_mm.prep.base import Prep
from clinic_mm.prep.note import WORD, Words, hashed, words_of
from clinic_mm.signals import NoteText, Signal
from clinic_mm.sources.choose import in_order

MARKED: Final = 24
"""Words that a Prediction stores, the weightiest."""
FEW_WORDS: Final = 120
"""Up to here a text is asked again without each of its words."""
SENTENCE: Final = re.compile(r"[^.!?\n]*[^.!?\n\s][^.!?\n]*[.!?]*")
SENTENCES_OPENED: Final = 4
Spans = Int[Array, "w 2"]


def note_within(asked: Asked) -> list[Within | None]:
    """Explain each note; None where its text is not found again, or only occlusion could tell and is not wanted."""
    exact = None if asked.prep.recipe.get("text_model") else asked.exact()
    if exact is None and not asked.why.occlude:
        return [None] * len(asked.cases)
    return [_one(asked, row, exact) for row in range(len(asked.cases))]


def _one(asked: Asked, row: int, exact: HeadShares | None) -> Within | None:
    text = _text(asked, row)
    if text is None:
        return None
    if exact is None:
        return _occluded(asked, row, text)
    words = words_of(text, asked.prep.shape[0])
    share = word_shares(words, exact.share[row])
    return _told(asked, exact.way, float(exact.opinion[row]), float(exact.baseline[row]), text, words.span, share)


def word_shares(words: Words, share: Float64[Array, " p"]) -> Float64[Array, " w"]:
    """What each word adds, from what each place adds."""
    hit = np.bincount(np.concatenate([words.one, words.two]), minlength=len(share))
    each = share / np.maximum(hit, 1)
    added: Array = each[words.one]
    half = each[words.two] / 2
    added[:-1] += half
    added[1:] += half
    return added


def _text(asked: Asked, row: int) -> str | None:
    """The text that was prepared: the first usable one that gives the same tensor."""
    case, kind = asked.cases[row], asked.expert.kind
    for select in ("latest", "first"):
        for evidence in in_order(case.usable(kind, asked.name), select):
            try:
                signal = load_evidence(evidence, asked.why.roots, kind)
                assert isinstance(signal, NoteText)
                same = np.allclose(_again(asked.prep, signal), asked.x[row], atol=1e-6)
            except EvidenceError:
                continue
            if same:
                return signal.text
    return None


def _again(prep: Prep[Signal], signal: NoteText) -> Array:
    """What preparation made of a text."""
    return prep(signal).x if prep.recipe.get("text_model") else hashed(signal.text, prep.shape[0])


def _occluded(asked: Asked, row: int, text: str) -> Within | None:
    """Without each word; of a long text without each sentence first."""
    spans = _spans(WORD, text)
    whole, nothing = _said(asked, row, [text, ""])
    if len(spans) > FEW_WORDS:
        sentences = _spans(SENTENCE, text)
        lost = np.abs(whole - _said(asked, row, [_without(text, s) for s in sentences]))
        opened = sentences[np.argsort(-np.nan_to_num(lost), kind="stable")[:SENTENCES_OPENED]]
        spans = np.array([s for s in spans if ((opened[:, 0] <= s[0]) & (s[1] <= opened[:, 1])).any()][:FEW_WORDS])
    share = np.nan_to_num(whole - _said(asked, row, [_without(text, s) for s in spans]))
    return _told(asked, "occlusion", float(whole), float(nothing), text, spans, share)


def _said(asked: Asked, row: int, texts: Sequence[str]) -> Float64[Array, " n"]:
    """The expert's opinion of texts; of one without any word as of a tensor of zeros."""
    prepared = []
    for text in texts:
        try:
            prepared.append(asked.prep(NoteText(text)).x)
        except EvidenceError:
            prepared.append(np.zeros(asked.prep.shape, np.float32))
    x = np.stack(prepared)
    return asked.opinion(row, x, x)


def _spans(pattern: re.Pattern[str], text: str) -> Spans:
    return np.array([match.span() for match in pattern.finditer(text)], dtype=int).reshape(-1, 2)


def _without(text: str, span: Int[Array, " 2"]) -> str:
    return text[: span[0]] + " " + text[span[1] :]


def _told(
    asked: Asked, way: Way, opinion: float, baseline: float, text: str, spans: Spans, share: Float64[Array, " w"]
) -> Within:
    kept = np.sort(np.argsort(-np.abs(share), kind="stable")[:MARKED])
    words = tuple(
        WordShare(start=int(spans[k, 0]), end=int(spans[k, 1]), share=float(share[k])) for k in kept if share[k]
    )
    return Within(
        modality=asked.name,
        way=way,
        opinion=opinion,
        baseline=baseline,
        words=words,
        rest=opinion - baseline - sum(word.share for word in words),
        text_hash=hashlib.sha256(text.encode()).hexdigest(),
    )
