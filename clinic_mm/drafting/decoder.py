"""A small decoder that writes a draft word by word from what the evidence of a case foretells.

In:  coordinates of each modality (`bank.Foretell`), who is present. Out: log-probabilities of the next word; sentences.

One linear map per modality, averaged over those present, conditions a GRU at every word. Rows of absent modalities are
never looked at; a case with none gets what notes mostly say.

Sources: Cho et al. 2014, arXiv 1406.1078 (GRU, encoder to decoder); Vinyals et al. 2015, arXiv 1411.4555 (a caption
from a summary); length-normalised beam search: Wu et al. 2016, arXiv 1609.08144, eq. 14 with alpha = 0.7, sentence by
sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from numpy import ndarray as Array
from torch import Tensor, nn

from clinic_mm.drafting.choose import adds
from clinic_mm.drafting.findings import Mention, in_sentence
from clinic_mm.drafting.words import GAP, STOPS, Tokens

WIDTH: Final = 64
DROPOUT: Final = 0.3
PAD, BEGIN, END, BLANK = range(4)
SPECIAL: Final = ("<pad>", "<begin>", "<end>", GAP)
BEAM: Final = 6
MOST_WORDS: Final = 40
"""Of one sentence."""
LENGTH_POWER: Final = 0.7
MOST_BLANKS: Final = 1 / 5
"""Share of blanks above which a sentence is neither learnt nor written: `No ___.` says nothing, and looks like much."""


class Decoder(nn.Module):
    """Words given evidence.

    Args:
        sizes: Coordinates of each modality, in the order of the columns of `present`.
        vocabulary: Words after the special ones.
    """

    def __init__(self, sizes: Mapping[str, int], vocabulary: Sequence[str]) -> None:
        super().__init__()
        self.names, self.words = tuple(sizes), (*SPECIAL, *vocabulary)
        self.hear = nn.ModuleList(nn.Linear(size, WIDTH) for size in sizes.values())
        self.nothing = nn.Parameter(torch.zeros(WIDTH))
        self.settle = nn.Sequential(nn.LayerNorm(WIDTH), nn.Tanh(), nn.Dropout(DROPOUT))
        self.start = nn.Linear(WIDTH, WIDTH)
        self.embed = nn.Embedding(len(self.words), WIDTH, padding_idx=PAD)
        self.gru = nn.GRU(2 * WIDTH, WIDTH, batch_first=True)
        self.drop = nn.Dropout(DROPOUT)
        self.out = nn.Linear(WIDTH, len(self.words))

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Words without the special ones."""
        return self.words[len(SPECIAL) :]

    def context(self, u: Mapping[str, Float[Tensor, "b r"]], present: Bool[Tensor, "b M"]) -> Float[Tensor, "b d"]:
        """What the evidence says, as the decoder hears it."""
        heard = self.nothing.expand(len(present), -1)
        for column, (name, linear) in enumerate(zip(self.names, self.hear, strict=True)):
            rows = torch.nonzero(present[:, column]).squeeze(1)
            if len(rows):
                heard = heard.index_add(0, rows, linear(torch.nan_to_num(u[name][rows])))
        count = present.sum(dim=1, keepdim=True).clamp(min=1)
        settled: Tensor = self.settle(heard / count)
        return settled

    def begin(self, context: Float[Tensor, "b d"]) -> Float[Tensor, "1 b d"]:
        """The state before the first word."""
        state: Tensor = torch.tanh(self.start(context))[None]
        return state

    def forward(
        self, context: Float[Tensor, "b d"], before: Int[Tensor, "b t"], state: Float[Tensor, "1 b d"]
    ) -> tuple[Float[Tensor, "b t w"], Float[Tensor, "1 b d"]]:
        """Log-probabilities of the word after each; pad and begin never come.

        Args:
            context: Of the evidence.
            before: The words so far, by number.
            state: Before the first of them.
        """
        spoken = self.drop(self.embed(before))
        beside = context[:, None].expand(-1, before.shape[1], -1)
        states, state = self.gru(torch.cat([spoken, beside], dim=2), state)
        scores = self.out(self.drop(states))
        never = torch.zeros(scores.shape[-1], dtype=torch.bool)
        never[[PAD, BEGIN]] = True
        return torch.log_softmax(scores.masked_fill(never, -torch.inf), dim=-1), state


@dataclass(frozen=True, slots=True)
class _Branch:
    words: tuple[int, ...]
    score: float
    state: Tensor
    log_p: Tensor

    @property
    def rank(self) -> float:
        """Higher is better, whatever the length."""
        return float(self.score / len(self.words) ** LENGTH_POWER)


@torch.inference_mode()
def write(
    decoder: Decoder, u: Mapping[str, Float32[Array, "1 r"]], present: Bool[Array, "1 M"], most: int
) -> list[Tokens]:
    """The sentences of one draft, the same for the same evidence.

    Args:
        decoder: Fitted.
        u: Coordinates of one case.
        present: Who is present.
        most: Sentences at most.
    """
    decoder.eval()
    context = decoder.context({name: torch.from_numpy(rows) for name, rows in u.items()}, torch.from_numpy(present))
    log_p, state = decoder(context, torch.tensor([[BEGIN]]), decoder.begin(context))
    at, written = _Branch((), 0.0, state, log_p[0, -1]), list[Tokens]()
    told: frozenset[Mention] = frozenset()
    while len(written) < most and at.log_p[END] < np.log(0.5):
        made = _sentences(decoder, context, at)
        chosen = next((one for one in made if _may_follow(_spell(decoder, one), written, told)), None)
        if chosen is None:
            break
        written.append(_spell(decoder, chosen))
        told |= in_sentence(written[-1])
        at = chosen
    return written


def _sentences(decoder: Decoder, context: Tensor, at: _Branch) -> list[_Branch]:
    """Whole sentences that may come next, the likeliest per word first."""
    stops = {place for place, word in enumerate(decoder.words) if word in STOPS}
    alive, done = [_Branch((), 0.0, at.state, at.log_p)], list[_Branch]()
    for _ in range(MOST_WORDS):
        grown = _grown(decoder, context, alive)
        done += [one for one in grown if one.words[-1] in stops]
        alive = [one for one in grown if one.words[-1] not in stops]
        if not alive or len(done) >= BEAM:
            break
    return sorted(done, key=lambda one: (-one.rank, one.words))


def _grown(decoder: Decoder, context: Tensor, alive: Sequence[_Branch]) -> list[_Branch]:
    """The best continuations by one word, `BEAM` of them; a note never ends within a sentence."""
    ways = []
    for place, one in enumerate(alive):
        log_p = one.log_p.clone()
        log_p[END] = -torch.inf
        best = torch.topk(log_p, min(BEAM, len(log_p) - 3))
        ways += [(one.score + float(p), place, int(w)) for p, w in zip(best.values, best.indices, strict=True)]
    ways = sorted(ways, key=lambda way: (-way[0], way[1], way[2]))[:BEAM]
    states = torch.cat([alive[place].state for _, place, _ in ways], dim=1)
    log_p, states = decoder(context.expand(len(ways), -1), torch.tensor([[word] for *_, word in ways]), states)
    return [
        _Branch((*alive[place].words, word), score, states[:, [row]], log_p[row, -1])
        for row, (score, place, word) in enumerate(ways)
    ]


def _spell(decoder: Decoder, one: _Branch) -> Tokens:
    return tuple(decoder.words[word] for word in one.words)


def _may_follow(sentence: Tokens, written: Sequence[Tokens], told: frozenset[Mention]) -> bool:
    """Whether a sentence is new, says nothing against the others, and is not mostly blanks."""
    mentions = in_sentence(sentence)
    if sentence.count(GAP) > MOST_BLANKS * len(sentence) or len(sentence) < 2:
        return False
    return adds(mentions, told) if mentions else sentence not in written
