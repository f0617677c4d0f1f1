"""One step of training, as a loss term of co-learning sees it.

A *term* is a module `forward(moment) -> scalar loss`, used while training only. A *bridge* is a module
`forward(outputs, present) -> (outputs, present)` between what modalities say and how they are joined; it is deployed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from clinic_mm.encoders.base import ModalityOutput
from clinic_mm.shapes import Logits, Presence

Answer = Callable[[Mapping[str, ModalityOutput], Presence], Logits]


@dataclass(frozen=True, slots=True)
class Moment:
    """What one batch said.

    Attributes:
        outputs: Of every modality with all that each case has, before any bridge.
        present: All that each case has.
        subset: What modality dropout left of it.
        logits: The network's answer to `subset`.
        target: Classes.
        answer: The network: bridges and fusion, for any outputs and subsets.
    """

    outputs: Mapping[str, ModalityOutput]
    present: Presence
    subset: Presence
    logits: Logits
    target: Int[Tensor, " B"]
    answer: Answer
