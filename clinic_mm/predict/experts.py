"""One expert per modality: its head, and its encoder where head or residual need one.

In:  prepared cases. Out: the expert's class probabilities for the rows where its modality is present.
How an expert judges was chosen by out-of-fold NLL: ridge or trees on plain summaries, the same on learned summaries,
or the network's own opinion.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from clinic_mm.encoders.base import Encoder
from clinic_mm.encoders.run import Spoken, run_encoder
from clinic_mm.encoders.runtime.opened import Session
from clinic_mm.fusion.pool import softmax
from clinic_mm.predict.heads import Head
from clinic_mm.prep.batch import PreparedCases

How = Literal["plain ridge", "plain trees", "learned ridge", "learned trees", "network"]
HOWS: Final[tuple[How, ...]] = ("plain ridge", "plain trees", "learned ridge", "learned trees", "network")


@dataclass(frozen=True, slots=True)
class Expert:
    """A fitted expert.

    Attributes:
        name: Modality name in the task.
        kind: Row of the modality table.
        how: What its opinion rests on.
        head: The fitted head; None for the network's own opinion.
        encoder: The fitted network; None where neither the opinion nor the residual needs it.
        session: What runs the network where the model is deployed (`predict.deploy`); PyTorch as in training if None.
    """

    name: str
    kind: str
    how: How
    head: Head | None
    encoder: Encoder | None
    session: Session | None = None

    def speak(self, prepared: PreparedCases) -> Spoken | None:
        """Run the network over the present rows, if there is one."""
        return None if self.encoder is None else self.hear(prepared.x[self.name])

    def hear(self, x: Float[Array, "n ..."]) -> Spoken:
        """Run the network, which there must be, over any rows."""
        assert self.encoder is not None
        return run_encoder(self.encoder, x) if self.session is None else self.session(x)

    def opinions(self, prepared: PreparedCases, spoken: Spoken | None) -> Float[Array, "n C"]:
        """Class probabilities of the present rows, in their order."""
        return judge(self.how, self.head, present_plain(prepared, self.name), spoken)


def present_plain(prepared: PreparedCases, name: str) -> Float[Array, "n p"]:
    """Plain summaries of the rows where a modality is present."""
    plain: Array = prepared.plain[name][prepared.present[:, prepared.names.index(name)]]
    return plain


def judge(how: How, head: Head | None, plain: Float[Array, "n p"], spoken: Spoken | None) -> Float[Array, "n C"]:
    """Probabilities by one way of judging."""
    if how == "network":
        assert spoken is not None
        return softmax(spoken.logits.double().numpy())
    assert head is not None
    if how.startswith("plain"):
        return head.predict(plain)
    assert spoken is not None
    return head.predict(spoken.summary.numpy())


def spread(values: Float[Array, "k C"], row: Array, fill: Float[Array, " C"]) -> Float[Array, "n C"]:
    """Values of present rows put at their cases; absent cases get `fill`."""
    out = np.tile(np.asarray(fill, float), (len(row), 1))
    out[row >= 0] = values[row[row >= 0]]
    return out
