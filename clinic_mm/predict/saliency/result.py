"""What a saliency job leaves of one piece of evidence: arrays in the evidence's own coordinates, and what they are.

In:  nothing. Out: frozen containers that jobs write, stores keep and pages read. Light: neither torch nor a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jaxtyping import Float
from numpy import ndarray as Array
from pydantic import Field, JsonValue

from clinic_mm.predict.prediction import canonical_hash
from clinic_mm.types import SCHEMA_VERSION, Evidence, Frozen

KINDS: Final = ("xray", "ct", "eeg")
"""Kinds of evidence that can be hidden place by place."""


class SaliencyTold(Frozen):
    """What the arrays of one saliency are, and of what.

    Attributes:
        modality: Its name in the task; `kind` is its row of the table of modalities.
        target: The class that numbers above 0 speak for.
        how: What the expert's opinion rests on.
        model_hash: Of the artifact.
        evidence_hash: Of the piece of evidence that was hidden (`evidence_hash`).
        settings: Sizes and strides, in the units that their names say.
        logodds: What the expert says of the evidence as it is, natural logarithm.
        stride: How fine the arrays are, in words.
        peak: Where hiding costs the class most, in the evidence's own coordinates, and how much (`logodds`).
        asked: How often the expert was asked.
        names: Names that go with axes of the arrays.
    """

    schema_version: str = SCHEMA_VERSION
    case_key: str
    modality: str
    kind: str
    target: str
    how: str
    model_hash: str
    evidence_hash: str
    settings: dict[str, JsonValue]
    logodds: float
    stride: str
    peak: dict[str, JsonValue]
    asked: int
    names: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def key(self) -> str:
        """Identity of model, input and settings: two equal keys give equal arrays."""
        return key_of(self.model_hash, self.evidence_hash, self.target, self.settings)


@dataclass(frozen=True, slots=True)
class Saliency:
    """One saliency: log-odds by which the expert's answer falls where something is hidden.

    Attributes:
        told: What the arrays are.
        arrays: `map` and the centres of its cells on each axis for images (`row`, `column`; `x`, `y`, `z`);
            `time_band`, `channel_band`, `cells` and `time_s` for EEG, and `alone`, the log-odds of each window by
            itself, which files of earlier versions have not. NaN where nothing was asked.
    """

    told: SaliencyTold
    arrays: Mapping[str, Float[Array, "..."]]


@dataclass(frozen=True, slots=True)
class Found:
    """What hiding shows of one signal, before anyone says whose it is."""

    arrays: Mapping[str, Float[Array, "..."]]
    settings: Mapping[str, JsonValue]
    logodds: float
    stride: str
    peak: Mapping[str, JsonValue]
    asked: int
    names: Mapping[str, tuple[str, ...]]


def evidence_hash(evidence: Evidence) -> str:
    """Identity of a piece of evidence; "" where ingest did not note what its files held."""
    if not evidence.content_hash:
        return ""
    return canonical_hash([evidence.modality, evidence.content_hash, evidence.locator, str(evidence.until)])


def key_of(model_hash: str, evidence: str, target: str, settings: Mapping[str, JsonValue]) -> str:
    """Identity of a saliency before it is computed."""
    return canonical_hash([SCHEMA_VERSION, model_hash, evidence, target, dict(settings)])
