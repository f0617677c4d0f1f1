"""What people did with one answer, as a report needs it: verdict, accepted or overridden, comments, who signed.

In:  the human acts of one case (the store's `CaseFile` is turned into this).
Out: one frozen object, consistent in itself.

Nothing here opens a store or knows a name: `signer` is the opaque id of a user. A signature is an act in the store,
whose audit chain proves it; what is written here only repeats it.
"""

from typing import Literal, Self

from pydantic import AwareDatetime, model_validator

from clinic_mm.predict.prediction import canonical_hash
from clinic_mm.types import Frozen


class Comment(Frozen):
    """What one reader said of the case, and when."""

    by: str
    at: AwareDatetime
    text: str


class Signed(Frozen):
    """The human acts on one Prediction, up to one state.

    Attributes:
        state: preliminary (nobody signed), final, amended (signed again, and why).
        verdict: The reader's own answer, one of the classes as a rule; "" where none is given yet.
        act: Whether the AI's answer was accepted or overridden; `own` where it gave, or showed, none; "" where that is
            not said, as of an amendment.
        reason: Why it was overridden.
        signer: Opaque id of who signed.
        amendment_reason: Why it was signed again.
        before: What had been signed before the amendment, where it is known.
        answer_hash: Content hash of the Prediction that people acted on; "" where that is not known.
    """

    state: Literal["preliminary", "final", "amended"] = "preliminary"
    verdict: str = ""
    act: Literal["", "accept", "override", "own"] = ""
    reason: str = ""
    comments: tuple[Comment, ...] = ()
    signer: str = ""
    signed_at: AwareDatetime | None = None
    amendment_reason: str = ""
    before: "Signed | None" = None
    answer_hash: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.state == "preliminary") != (not self.signer) or (not self.signer) != (self.signed_at is None):
            raise ValueError("signer and time of signing belong to a final or amended report, and to no other")
        if self.signer and not self.verdict:
            raise ValueError("what is signed has a verdict")
        if self.act == "override" and not self.reason:
            raise ValueError("an override has a reason")
        if (self.state == "amended") != bool(self.amendment_reason):
            raise ValueError("an amendment has a reason, and nothing else has one")
        if self.before and (self.state != "amended" or self.before.state == "preliminary"):
            raise ValueError("only an amendment replaces something, and that was signed")
        return self

    @property
    def acts_hash(self) -> str:
        """SHA-256 of the acts, as the content hash is one of the answer."""
        return canonical_hash(self.model_dump(mode="json"))


UNSIGNED = Signed()
"""Nobody has read it yet."""
