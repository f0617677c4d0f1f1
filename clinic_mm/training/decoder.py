"""Fit the decoder of drafts: the next word of each training note, given evidence and the words before it.

In:  coordinates, presence, notes as words, the patient of each. Out: the decoder, and what evidence was
worth on patients it had not seen.

Teacher forcing (Williams & Zipser 1989, doi 10.1162/neco.1989.1.2.270). In each step every case shows a random subset
of its modalities, sometimes none. The number of epochs is chosen on patients left out; the decoder is then fitted anew
on all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from numpy import ndarray as Array
from torch import Tensor

from clinic_mm.drafting.decoder import BEGIN, END, PAD, Decoder
from clinic_mm.training.encode import step

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
    """Fit, choosing the number of epochs on patients left out."""
    names = np.unique(lesson.patients)
    chosen = np.random.default_rng(lesson.seed).permutation(names)[: max(1, len(names) // LEFT_OUT)]
    left_out = np.isin(lesson.patients, chosen)
    words = _numbered(lesson)
    every = np.arange(len(words))
    best = Worth(np.inf, np.inf, 0.0, 0.0, 1)
    for epoch, decoder in enumerate(_epochs(lesson, words, every[~left_out]), start=1):
        worth = _worth(decoder, lesson, words, every[left_out], epoch)
        if worth.with_evidence < best.with_evidence:
            best = worth
        if epoch - best.epochs >= PATIENCE:
            break
    fitted = next(islice(_epochs(lesson, words, every), best.epochs - 1, None))
    return fitted.eval(), best


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


def _epochs(lesson: Lesson, words: Int[Array, "n t"], rows: Int[Array, " k"]) -> Iterator[Decoder]:
    """The decoder after each epoch over some cases; the same for the same seed."""
    rng = np.random.default_rng(lesson.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        decoder = _decoder(lesson)
        state = torch.get_rng_state()
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    steps = -(-len(rows) // BATCH)
    for _ in range(max(1, min(MOST_EPOCHS, MOST_STEPS // steps) if lesson.epochs is None else lesson.epochs)):
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(state)
            decoder.train()
            for batch in np.array_split(rng.permutation(rows), steps):
                shown = _subset(lesson.present[batch], rng)
                losses = _loss(decoder, lesson, words, batch, shown)
                step(decoder, optimiser, losses.sum() / (words[batch, 1:] != PAD).sum())
            state = torch.get_rng_state()
        yield decoder


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
