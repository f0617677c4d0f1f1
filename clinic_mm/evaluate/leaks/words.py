"""What single words of notes score, and words that tell the outcome.

In:  the text of each case as known by its decision, labels, patients, names of what is asked. Out: shortcuts, leaks.

Outcome words are a policy (`schemas/leak_words.toml`) together with the words of the target and its classes. A word is
scored by whether a case's notes have it: AUROC = 1/2 + (P(word | class) − P(word | rest)) / 2, with the interval of
Agresti & Caffo (2000, doi:10.1080/00031305.2000.10474560) over patients, widened over all words of the policy, or over
all words (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.stats import norm
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from clinic_mm.bundle import policy
from clinic_mm.evaluate.bootstrap import interval
from clinic_mm.evaluate.leaks.findings import Leak, Looked, Shortcut
from clinic_mm.evaluate.leaks.notes import words_of
from clinic_mm.evaluate.leaks.scored import DRAWS, Asked, Scored, beyond_prior
from clinic_mm.evaluate.metrics import auroc

FEWEST_PATIENTS: Final = 3
TELLS_FROM: Final = 0.5
"""A word of the policy is flagged where its whole interval lies beyond this."""
SHOWN_FROM: Final = 0.55
TOO_GOOD_FROM: Final = 0.70
"""Any single word is: so much is seldom evidence."""
SHOWN: Final = 12
STOPS: Final = frozenset(
    {"no", "not", "other", "than", "and", "or", "of", "the", "with", "yes", "negative", "positive"}
)
"""Of the names of classes, words that name nothing."""
MEND: Final = "Mask these words in the notes, or take only notes written before the outcome was known"


@dataclass(frozen=True, slots=True)
class Words:
    """Words of a cohort's notes: which case has which."""

    names: tuple[str, ...]
    has: Bool[Array, "n v"]


def word_columns(texts: Sequence[str], patients: Array) -> Words:
    """Words that at least three patients have, and not all."""
    vectorizer = CountVectorizer(analyzer=words_of, binary=True)
    try:
        has = vectorizer.fit_transform(texts).toarray().astype(bool)
    except ValueError:  # no word at all
        return Words((), np.zeros((len(texts), 0), dtype=bool))
    _, index = np.unique(patients, return_inverse=True)
    mine = np.zeros((index.max() + 1, has.shape[1]), dtype=bool)
    np.logical_or.at(mine, index, has)
    count = mine.sum(axis=0)
    kept = (count >= FEWEST_PATIENTS) & (count < len(mine))
    names = vectorizer.get_feature_names_out()
    kept &= np.array([name != "0" for name in names])
    return Words(tuple(names[kept].tolist()), has[:, kept])


def telling(target: str, classes: Sequence[str]) -> dict[str, str]:
    """Words that tell the outcome, each with why: from the policy, and from the names of target and classes."""
    told = policy("leak_words")
    found = dict.fromkeys(told["temporal"]["words"], "after the decision")
    found |= {word: kind for kind, words in told["outcome"].items() for word in words}
    for name in (target, *classes):
        for part in words_of(name.replace("_", " ")):
            if part not in STOPS and len(part) > 2:
                found[part] = "names what is asked"
                found |= dict.fromkeys(told["names"].get(part, ()), "names what is asked")
    return found


def audit_words(
    texts: Sequence[str], asked: Asked, target: str, classes: Sequence[str]
) -> tuple[list[Shortcut], list[Leak], Looked]:
    """Score every word alone; all words together, with and without those that tell the outcome."""
    words, list_of = word_columns(texts, asked.patients), telling(target, classes)
    value, low, high = word_aurocs(words.has, asked)
    listed = np.array([name in list_of for name in words.names], dtype=bool)
    if listed.any():  # named before anything was seen: a family of their own
        for whole, own in zip((value, low, high), word_aurocs(words.has[:, listed], asked), strict=True):
            whole[listed] = own
    flagged: list[str] = []
    shown: list[Shortcut] = []
    for at in np.argsort(-low)[: len(words.names)]:
        name = words.names[at]
        tells = name in list_of and low[at] > TELLS_FROM
        if tells or low[at] > TOO_GOOD_FROM:
            flagged.append(name)
        if (tells or low[at] > SHOWN_FROM) and len(shown) < SHOWN:
            why = list_of.get(name, "")
            one = Shortcut(
                name=f"word “{name}”",
                kind="word",
                read=True,
                auroc=float(value[at]),
                low=float(low[at]),
                high=float(high[at]),
                n_cases=len(texts),
                n_patients=len(set(asked.patients.tolist())),
                flagged=name in flagged,
                why=(why or "tells more by itself than evidence is wont to") if name in flagged else "",
            )
            shown.append(one)
    found = sorted(name for name in flagged if name in list_of)
    looked = Looked(
        check="words of notes", of=len(words.names), found=len(flagged), how="AUROC of each word, Bonferroni over all"
    )
    leaks = []
    masked = np.array([name not in list_of for name in words.names], dtype=bool)
    if words.names:
        pairs = [("all words of the notes", np.ones(len(words.names), dtype=bool))]
        pairs += [("all words but those that can tell the outcome", masked)] if not masked.all() else []
        shown += [_together(name, words.has[:, keep], asked) for name, keep in pairs if keep.any()]
    if flagged:
        quoted = ", ".join(f"“{name}”" for name in [*found, *(n for n in flagged if n not in found)][:SHOWN])
        leaks.append(
            Leak(
                code="shortcut.outcome_words",
                severity="finding",
                modality="note",
                what=_told(len(flagged), quoted),
                mend=MEND,
                n=len(flagged),
            )
        )
    return shown, leaks, looked


def _told(n: int, quoted: str) -> str:
    """What is found, in words."""
    if n == 1:
        return f"One word of the notes tells the outcome by itself: {quoted}"
    return f"{n} words of the notes tell the outcome by themselves: {quoted}"


def word_aurocs(
    has: Bool[Array, "n v"], asked: Asked
) -> tuple[Float[Array, " v"], Float[Array, " v"], Float[Array, " v"]]:
    """AUROC of having each word, in the better direction, with its Bonferroni interval over patients.

    With more than two classes, of the class that the word tells best from the rest.
    """
    classes = [1] if asked.n_classes == 2 else list(range(asked.n_classes))
    z = float(norm.ppf(1 - (1 - asked.level) / (2 * max(has.shape[1], 1) * len(classes))))
    ends = [_difference(has, asked.labels == c, asked.patients, z) for c in classes]
    best = np.argmax([low for _, low, _ in ends], axis=0)
    value, low, high = (np.array([end[i] for end in ends])[best, np.arange(has.shape[1])] for i in range(3))
    return value, low, high


def _difference(
    has: Bool[Array, "n v"], of_class: Bool[Array, " n"], patients: Array, z: float
) -> tuple[Array, Array, Array]:
    (p, n_p), (q, n_q) = (_share(has[side], patients[side]) for side in (of_class, ~of_class))
    sign = np.where(p >= q, 1.0, -1.0)
    a, b = ((share * n + 1) / (n + 2) for share, n in ((p, n_p), (q, n_q)))
    half = z * np.sqrt(a * (1 - a) / (n_p + 2) + b * (1 - b) / (n_q + 2))
    middle = sign * (a - b)
    return 0.5 + np.abs(p - q) / 2, 0.5 + (middle - half) / 2, np.minimum(0.5 + (middle + half) / 2, 1.0)


def _share(has: Bool[Array, "n v"], patients: Array) -> tuple[Float[Array, " v"], int]:
    """Mean over patients of the share of their cases that have each word; and how many patients."""
    _, index = np.unique(patients, return_inverse=True)
    n = int(index.max()) + 1 if len(index) else 0
    sums = np.zeros((n, has.shape[1]))
    np.add.at(sums, index, has.astype(float))
    return (sums / np.bincount(index, minlength=n)[:, None]).mean(axis=0), n


def _together(name: str, has: Bool[Array, "n v"], asked: Asked) -> Shortcut:
    """A bag of words: L2-penalised logistic regression on which words there are, each damped by how common it is."""
    x = has / np.sqrt(np.maximum(has.sum(axis=1, keepdims=True), 1))
    probs = np.stack([_crossed(x, asked, fold) for fold in asked.fold])
    found = Scored(probs, interval(auroc, probs, asked.labels, asked.patients, n=DRAWS)).auroc
    return Shortcut(
        name=name,
        kind="word",
        read=True,
        auroc=found.estimate,
        low=found.low,
        high=found.high,
        n_cases=found.n_rows,
        n_patients=found.n_patients,
    )


def _crossed(x: Float[Array, "n v"], asked: Asked, fold: Int[Array, " n"]) -> Float[Array, "n C"]:
    probs = np.zeros((len(x), asked.n_classes))
    for k in range(int(fold.max()) + 1):
        model = LogisticRegression(C=10.0, max_iter=2000).fit(x[fold != k], asked.labels[fold != k])
        probs[fold == k] = beyond_prior(model.predict_proba(x[fold == k]), asked.labels[fold != k])
    return probs
