"""Fit the decoder of drafts: the next word of each training note, given evidence and the words before it.

In:  coordinates, presence, notes as words, the patient of each. Out: the decoder, and what evidence was
worth on patients it had not seen.

Teacher forcing (Williams & Zipser 1989, doi 10.1162/neco.1989.1.2.270). In each step every case shows a random subset
of its modalities, sometimes none. The number of epochs is chosen on patients left out; the decoder is then fitted anew
on all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.drafting.decoder import BEGIN, END, PAD, Decoder
from clinic_mm.training.resume import Part
from clinic_mm.training.steps import Fit, Memory, Stateful, descend

BATCH: Final = 32
LEARNING_RATE: Final = 5e-3
WEIGHT_DECAY: Final = 0.05
MOST_EPOCHS, MOST_STEPS = 60, 1000
PATIENCE: Final = 4
LEFT_OUT: Final = 5
"""One in so many patients is left out to choose the number of epochs."""
SHOWS_NOTHING: Final = 0.1
"""Share of the cases that show no modality in a step, so that the decoder knows what notes say anyway."""
LONGEST: Final = 240
"""Words of a note that are learnt from."""

Shown = tuple[Int[Array, " b"], Bool[Array, "b M"]]
"""Cases of a step, and what each shows."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a decoder learns from.

    Attributes:
        u: Coordinates [n, r] by modality, rows of NaN where absent; of each case from maps that did not see it.
        present: Who is present.
        notes: Each note as words, whole sentences.
        patients: Whose each is.
        vocabulary: Words that may be written.
        seed: Of weights, order and subsets.
        epochs: At most so many; by the number of cases where None.
    """

    u: Mapping[str, Float32[Array, "n r"]]
    present: Bool[Array, "n M"]
    notes: Sequence[Sequence[str]]
    patients: Array
    vocabulary: Sequence[str]
    seed: int
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """Mean negative log-probability of a word, in nats, on patients left out: with evidence, and without any.

    `gain` is the difference, averaged over their notes, with its standard error.
    """

    with_evidence: float
    without: float
    gain: float
    standard_error: float
    epochs: int

    @property
    def helps(self) -> bool:
        """Whether evidence is beyond doubt worth something."""
        return self.gain > 2 * self.standard_error


def fit_decoder(lesson: Lesson) -> tuple[Decoder, Worth]:
    """Fit, choosing the number of epochs on patients left out.

    Raises:
        StoppedError: If a loss is not finite.
    """
    names = np.unique(lesson.patients)
    chosen = np.random.default_rng(lesson.seed).permutation(names)[: max(1, len(names) // LEFT_OUT)]
    left_out = np.isin(lesson.patients, chosen)
    words = _numbered(lesson)
    every = np.arange(len(words))
    best = _Best(lesson, words, every[left_out])
    _fit(lesson, words, every[~left_out], _most_epochs(lesson, int((~left_out).sum())), best)
    return _fit(lesson, words, every, best.worth.epochs).eval(), best.worth


def _numbered(lesson: Lesson) -> Int[Array, "n t"]:
    """Words as numbers: begin, the words, end, then padding."""
    number = {word: place for place, word in enumerate(_decoder(lesson).words)}
    spoken = [[BEGIN, *(number[word] for word in note[:LONGEST]), END] for note in lesson.notes]
    padded = np.full((len(spoken), max(map(len, spoken))), PAD)
    for row, note in enumerate(spoken):
        padded[row, : len(note)] = note
    return padded


def _decoder(lesson: Lesson) -> Decoder:
    return Decoder({name: u.shape[1] for name, u in lesson.u.items()}, lesson.vocabulary)


def _most_epochs(lesson: Lesson, n: int) -> int:
    by_steps = min(MOST_EPOCHS, MOST_STEPS // _steps(n))
    return max(1, by_steps if lesson.epochs is None else lesson.epochs)


def _steps(n: int) -> int:
    """Of an epoch."""
    return -(-n // BATCH)


def _fit(
    lesson: Lesson, words: Int[Array, "n t"], rows: Int[Array, " k"], epochs: int, best: "_Best | None" = None
) -> Decoder:
    """The decoder after some epochs over some cases, or after those that `best` lets it have."""
    rng = np.random.default_rng(lesson.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        decoder = _decoder(lesson)
        optimiser = torch.optim.AdamW(decoder.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
        steps, memory = _steps(len(rows)), Memory(done=0, order=rows)

        def draw() -> Shown:
            at = memory["done"] % steps
            if at == 0:
                memory["order"] = rng.permutation(rows)
            memory["done"] += 1
            batch = np.array_split(memory["order"], steps)[at]
            return batch, _subset(lesson.present[batch], rng)

        def loss(drawn: Shown) -> Tensor:
            batch, shown = drawn
            lost: Tensor = _loss(decoder, lesson, words, batch, shown).sum() / (words[batch, 1:] != PAD).sum()
            return lost

        def after(done: int) -> bool:
            return best is not None and done % steps == 0 and best.is_past(decoder, done // steps)

        part = Part.of("decoder", lesson, words, rows, epochs, best is None)
        more: dict[str, Stateful] = {"memory": memory, **({} if best is None else {"best": best})}
        descend(Fit(part, decoder, optimiser, draw, loss, None, rng, more, after), epochs * steps)
    return decoder


class _Best:
    """How many epochs served patients left out best."""

    def __init__(self, lesson: Lesson, words: Int[Array, "n t"], left_out: Int[Array, " h"]) -> None:
        self.lesson, self.words, self.left_out = lesson, words, left_out
        self.worth = Worth(np.inf, np.inf, 0.0, 0.0, 1)

    def is_past(self, decoder: Decoder, epoch: int) -> bool:
        """Look after an epoch; whether the best lies long enough back."""
        worth = _worth(decoder, self.lesson, self.words, self.left_out, epoch)
        if worth.with_evidence < self.worth.with_evidence:
            self.worth = worth
        return epoch - self.worth.epochs >= PATIENCE

    def state_dict(self) -> Mapping[str, Any]:
        """The best so far."""
        return asdict(self.worth)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Be as it was."""
        self.worth = Worth(**state_dict)


def _subset(present: Bool[Array, "b M"], rng: np.random.Generator) -> Bool[Array, "b M"]:
    """A random subset of what each case has: all of them in half of the cases, none in a few."""
    some = present & (rng.random(present.shape) < 0.5)
    drawn = rng.random(len(present))[:, None]
    return np.where(drawn < SHOWS_NOTHING, False, np.where(drawn < 0.5, some, present))


def _loss(
    decoder: Decoder, lesson: Lesson, words: Int[Array, "n t"], rows: Int[Array, " b"], shown: Bool[Array, "b M"]
) -> Float[Tensor, "b t"]:
    """Negative log-probability of each next word, NaN-free; 0 where a note is over."""
    longest = int((words[rows] != PAD).sum(axis=1).max())
    spoken = torch.from_numpy(words[rows, :longest])
    u = {name: torch.from_numpy(values[rows]) for name, values in lesson.u.items()}
    context = decoder.context(u, torch.from_numpy(shown))
    log_p, _ = decoder(context, spoken[:, :-1], decoder.begin(context))
    loss = torch.nn.functional.nll_loss(
        log_p.flatten(0, 1), spoken[:, 1:].flatten(), ignore_index=PAD, reduction="none"
    )
    return loss.view(len(rows), -1)


@torch.inference_mode()
def _worth(decoder: Decoder, lesson: Lesson, words: Int[Array, "n t"], rows: Int[Array, " k"], epoch: int) -> Worth:
    decoder.eval()
    present = lesson.present[rows]
    length = (words[rows] != PAD).sum(axis=1) - 1
    heard, unheard = (
        _loss(decoder, lesson, words, rows, shown).sum(dim=1).double().numpy()
        for shown in (present, np.zeros_like(present))
    )
    gains = (unheard - heard) / length
    error = float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf
    told = float(heard.sum() / length.sum()), float(unheard.sum() / length.sum())
    return Worth(*told, float(gains.mean()), error, epoch)
