"""A fitted drafter: from prepared cases to drafts, by a decoder, by retrieval, and by what notes mostly say.

In:  prepared cases with any subset of the drafter's modalities; a note is never among them. Out: Drafts.
`training.drafts` fits a Drafter, `drafting.folder` keeps it. Nothing here reads a file.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32
from numpy import ndarray as Array
from pydantic import JsonValue

from clinic_mm.drafting.bank import Bank, Foretell, nearest, similarities
from clinic_mm.drafting.choose import Slots, choose, says
from clinic_mm.drafting.decoder import Decoder, write
from clinic_mm.drafting.draft import Draft, DraftSentence, Method, SupportingCase
from clinic_mm.drafting.words import GAP, Lexicon, Tokens
from clinic_mm.errors import ArtifactError
from clinic_mm.predict.predictor import flags_of, input_hash, missing_of
from clinic_mm.prep.batch import PreparedCases, Recipe
from clinic_mm.task import Task

SHOWN: Final = 5
"""Supporting cases that a draft names."""
NOT_EVIDENCE: Final = "This is a draft that software wrote. Nobody has checked it. It is no evidence."
MADE_UP: Final = "The drafter learnt from SIMULATED notes: what it says of a patient means nothing."
NO_PAY: Final = "In learning, evidence did not help the decoder to foresee the words of notes it had not seen."
IGNORES: Final = "This says what notes mostly say, whatever the case: it is there to compare with."
BLANKS: Final = "___ stands for a number, a name or a rare word, which a person has to fill in."


@dataclass(frozen=True, slots=True)
class Drafter:
    """Everything that one drafter folder holds.

    Attributes:
        task: What it was learnt from; its notes are the target, its other modalities are what drafts rest on.
        recipe: How those are prepared.
        foretell: From the plain summaries of each modality to its coordinates.
        lexicon: Words that may be written.
        decoder: Writes word by word.
        slots: Sentences that a draft has at most, of each kind.
        neighbours: Training cases that vote on the sentences of a retrieval draft.
        bank: Training cases; None where it was taken out of the folder.
        facts: What is worth knowing of its making (JSON).
    """

    task: Task
    recipe: Recipe
    foretell: Mapping[str, Foretell]
    lexicon: Lexicon
    decoder: Decoder
    slots: Slots
    neighbours: int
    bank: Bank | None
    facts: Mapping[str, JsonValue]

    @property
    def names(self) -> tuple[str, ...]:
        """Modalities that drafts may rest on."""
        return self.recipe.names

    def coordinates(self, plain: Mapping[str, Float[Array, "n p"]]) -> dict[str, Float32[Array, "n r"]]:
        """Plain summaries as decoder and bank take them."""
        return {name: self.foretell[name](plain[name]) for name in self.names}


def write_drafts(
    drafter: Drafter, drafter_hash: str, prepared: PreparedCases, methods: Sequence[Method]
) -> list[dict[Method, Draft]]:
    """A draft by each method for each case; a case without any evidence gets none.

    Raises:
        ArtifactError: For any draft but a decoder's where the bank was taken out.
    """
    assert prepared.names == drafter.names, "columns must stand in the order of the drafter"
    bank = drafter.bank
    if bank is None and set(methods) - {"decoder"}:
        mend = "Copy the whole folder, or ask for --method decoder"
        raise ArtifactError("The bank of training sentences was taken out of this drafter", "bank.json", mend)
    u = drafter.coordinates(prepared.plain)
    near = similarities(bank, u) if bank else np.zeros((len(prepared), 0))
    drafts = []
    for row in range(len(prepared)):
        one = _Case(
            drafter, drafter_hash, prepared, row, {name: values[[row]] for name, values in u.items()}, near[row]
        )
        drafts.append({method: one.draft(method) for method in methods} if prepared.present[row].any() else {})
    return drafts


def retrieved(bank: Bank, similarity: Float[Array, " n"], neighbours: int, slots: Slots) -> list[Tokens]:
    """The sentences that the notes of the nearest cases vote for, each by its similarity."""
    votes: dict[Tokens, float] = defaultdict(float)
    for case in nearest(similarity, neighbours):
        for number in bank.said[case]:
            votes[bank.sentences[number]] += float(similarity[case])
    return choose(votes, slots)


@dataclass(frozen=True, slots=True)
class _Case:
    """One case, and what is near it."""

    drafter: Drafter
    drafter_hash: str
    prepared: PreparedCases
    row: int
    u: Mapping[str, Float32[Array, "1 r"]]
    near: Float[Array, " n"]

    @property
    def present(self) -> Bool[Array, "1 M"]:
        return self.prepared.present[[self.row]]

    def draft(self, method: Method) -> Draft:
        drafter, case = self.drafter, self.prepared.cases[self.row]
        written = self._sentences(method)
        rests = method != "most_frequent"
        support = nearest(self.near, SHOWN) if rests else np.zeros(0, int)
        spoken = tuple(self._sentence(one, support) for one in written)
        kinds = [drafter.task.kind_of(name) for name in drafter.names]
        return Draft(
            case_key=case.case_key,
            method=method,
            text=" ".join(one.text for one in spoken),
            sentences=spoken,
            rests_on=tuple(sorted(np.array(drafter.names)[self.present[0]].tolist())) if rests else (),
            support=tuple(self._supporting(int(number)) for number in support),
            k=drafter.lexicon.k,
            missing=missing_of(self.prepared, self.row),
            flags=flags_of(self.prepared, self.row),
            notices=self._notices(method, spoken),
            model_hash=self.drafter_hash,
            input_hash=input_hash(case, kinds),
        )

    def _sentences(self, method: Method) -> Sequence[Tokens]:
        drafter = self.drafter
        if method == "decoder":
            return write(drafter.decoder, self.u, self.present, sum(drafter.slots))
        assert drafter.bank is not None
        if method == "most_frequent":
            return drafter.bank.frequent
        return retrieved(drafter.bank, self.near, drafter.neighbours, drafter.slots)

    def _sentence(self, words: Tokens, support: Array) -> DraftSentence:
        bank = self.drafter.bank
        same = [
            bank.case_keys[number]
            for number in (support if bank else ())
            if bank and any(says(bank.sentences[s]) == says(words) for s in bank.said[number])
        ]
        return DraftSentence(text=self.drafter.lexicon.written(words), support=tuple(same))

    def _supporting(self, number: int) -> SupportingCase:
        assert self.drafter.bank is not None
        return SupportingCase(case_key=self.drafter.bank.case_keys[number], similarity=float(self.near[number]))

    def _notices(self, method: Method, spoken: Sequence[DraftSentence]) -> tuple[str, ...]:
        facts = self.drafter.facts
        said = [NOT_EVIDENCE, *([MADE_UP] if facts.get("simulated") else [])]
        said += [IGNORES] if method == "most_frequent" else []
        said += [NO_PAY] if method == "decoder" and not facts.get("evidence_helps") else []
        said += [BLANKS] if any(GAP in one.text for one in spoken) else []
        return tuple(said)
