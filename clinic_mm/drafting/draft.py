"""The Draft: text that software wrote of a case, what it rests on, and that it is no evidence.

A frozen object that reports and the dashboard read. Nothing takes one back as input: its written forms carry a
mark that the readers of notes refuse (clinic_mm.sources.record.drafts).
"""

from typing import Final, Literal

from pydantic import Field

from clinic_mm.predict.prediction import MissingEvidence, SeenFlag, canonical_hash
from clinic_mm.types import SCHEMA_VERSION, Frozen

Method = Literal["decoder", "retrieval", "most_frequent"]
METHODS: Final[tuple[Method, ...]] = ("decoder", "retrieval", "most_frequent")


class DraftSentence(Frozen):
    """One sentence, and which of the supporting cases' notes say the same; none where only the model says it."""

    text: str
    support: tuple[str, ...] = ()


class SupportingCase(Frozen):
    """A training case whose evidence is near, by its key: 1 is the same in all modalities of this case."""

    case_key: str
    similarity: float


class Draft(Frozen):
    """A draft of findings for one case.

    Attributes:
        method: `decoder` wrote it word by word, `retrieval` took sentences of the nearest training cases,
            `most_frequent` says what notes mostly say, whatever the case.
        rests_on: Modalities that were looked at; none for `most_frequent`.
        support: Nearest training cases, nearest first.
        k: Words of fewer than k training patients, numbers and names are never written; `___` stands for a blank.
    """

    schema_version: str = SCHEMA_VERSION
    draft: Literal[True] = True
    evidence: Literal[False] = False
    case_key: str
    method: Method
    text: str
    sentences: tuple[DraftSentence, ...]
    rests_on: tuple[str, ...]
    support: tuple[SupportingCase, ...]
    k: int
    missing: tuple[MissingEvidence, ...] = ()
    flags: tuple[SeenFlag, ...] = ()
    notices: tuple[str, ...] = Field(default=(), description="What a reader must know of this draft, in words.")
    model_hash: str
    input_hash: str

    @property
    def content_hash(self) -> str:
        """SHA-256 over canonical JSON."""
        return canonical_hash(self.model_dump(mode="json"))
