"""The plain nouns of the store: what pages and routes get to see of it. All are frozen.

In:  rows of the store. Out: these. Nothing here opens a database.

A user stands in them by his opaque id, a case by its opaque key: neither is a name.
"""

from datetime import datetime
from typing import Final, Literal

from pydantic import AwareDatetime, Field

from clinic_mm.types import Frozen

State = Literal["new", "running", "ready", "in_review", "signed", "amended"]
STATES: Final[tuple[State, ...]] = ("new", "running", "ready", "in_review", "signed", "amended")
TO_READ: Final[tuple[State, ...]] = ("ready", "in_review")
"""States in which somebody still has to do something."""

Role = Literal["viewer", "reader", "signer", "scientist", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "reader", "signer", "scientist", "admin")

Decided = Literal["accept", "override", "own"]
"""`own`: the reader's own verdict where the model gives, or shows, no answer."""

Key = tuple[float, str]
"""Where a page of the work list ends: rank and case key of its last row."""


class Lock(Frozen):
    """Who reads a case, since when, and until when he need do nothing to go on."""

    by: str
    since: AwareDatetime
    until: AwareDatetime


class Act(Frozen):
    """One thing that a person did to a case.

    Attributes:
        number: Its link in the audit chain; later acts have higher ones.
        version: Of the case after it.
        answer_hash: Content hash of the Prediction that the person had, "" where there was none.
    """

    number: int
    by: str
    at: AwareDatetime
    version: int
    answer_hash: str


class Opinion(Act):
    """A reader's first opinion: given once, never changed.

    Attributes:
        sure: How sure the reader was, 0 to 1.
        before: Whether it was given before the reader was shown the answer.
    """

    verdict: str
    sure: float
    before: bool


class Decision(Act):
    """What a reader made of the answer; `reason` stands where it was overridden."""

    act: Decided
    verdict: str
    reason: str


class Comment(Act):
    """A remark."""

    text: str


class Signature(Act):
    """That a person stands for a decision (`decision` is its number)."""

    decision: int


class Amendment(Act):
    """A signed verdict that was changed, and why."""

    verdict: str
    reason: str


class Outcome(Frozen):
    """What turned out to be so, later, and who or what says it."""

    verdict: str
    source: str
    at: AwareDatetime


class CaseFile(Frozen):
    """All that the store knows of a case, but the Prediction itself (`Store.prediction`).

    Attributes:
        version: Grows with everything that is done; whoever acts says which one he saw.
        sealed: True where what others thought is left out until `seen_by` has given an opinion.
        newer: True where a newer answer came after somebody decided.
    """

    case_key: str
    run_id: str
    state: State
    version: int
    pattern: tuple[str, ...]
    answered: bool
    answer_hash: str
    urgency: float | None
    reason: str
    ready_at: AwareDatetime | None
    assigned: str
    lock: Lock | None
    newer: bool
    sealed: bool = False
    opinions: tuple[Opinion, ...] = ()
    decisions: tuple[Decision, ...] = ()
    comments: tuple[Comment, ...] = ()
    signatures: tuple[Signature, ...] = ()
    amendments: tuple[Amendment, ...] = ()

    @property
    def verdict(self) -> str:
        """What stands: of the last decision or amendment, "" before there is one."""
        verdicts: list[Decision | Amendment] = [*self.decisions, *self.amendments]
        stands = max(verdicts, key=lambda act: act.number, default=None)
        return stands.verdict if stands else ""


class WorklistQuery(Frozen):
    """Which cases, in which order, from where on.

    Attributes:
        states: Empty for all.
        pattern: Exactly this evidence; None for any.
        answer: A class that the model decided for, or "none" for cases without an answer; None for any.
        text: What the case key contains.
        assigned: Id of a user; "" for cases of nobody; None for any.
        order: By calibrated urgency and how long a case has waited; or the longest waiting first.
        limit: Rows of a page.
        after: `WorklistPage.next` of the page before.
        sealed_for: A reader who is to see no answer of a case before he gave his opinion; "" seals nothing.
    """

    states: tuple[State, ...] = TO_READ
    pattern: tuple[str, ...] | None = None
    answer: str | None = None
    text: str = ""
    assigned: str | None = None
    order: Literal["urgency", "waiting"] = "urgency"
    limit: int = Field(default=50, ge=1, le=500)
    after: Key | None = None
    sealed_for: str = ""


class WorklistRow(Frozen):
    """One case of the work list.

    Attributes:
        urgency: Calibrated, 0 to 1; None where it is sealed, or not known yet.
        waits_h: Hours since it was ready.
        promoted: What waiting added to the urgency.
        reason: Why it stands where it stands; where it is sealed, what gives no answer away.
        decision: Class that the model decided for, "" for none or where it is sealed.
    """

    case_key: str
    state: State
    version: int
    pattern: tuple[str, ...]
    urgency: float | None
    waits_h: float
    promoted: float
    reason: str
    decision: str
    answered: bool
    sealed: bool
    assigned: str
    lock: Lock | None
    newer: bool


class WorklistPage(Frozen):
    """A page of the work list.

    Attributes:
        total: Rows of all pages.
        next: For `WorklistQuery.after`; None at the end.
    """

    rows: tuple[WorklistRow, ...]
    total: int
    next: Key | None = None


class ReadCase(Frozen):
    """A case that a reader judged before he saw the answer.

    Attributes:
        before: His first opinion.
        sure: How sure he was, 0 to 1.
        model: What the model said.
        after: What he decided, "" where he did not.
        outcome: What turned out later, "" where that is not known, or he has not decided yet.
    """

    case_key: str
    at: AwareDatetime
    before: str
    sure: float
    model: str
    after: str
    outcome: str

    @property
    def toward(self) -> bool:
        """Whether he switched to what the model said."""
        return bool(self.after) and self.before != self.model and self.after == self.model

    @property
    def away(self) -> bool:
        """Whether he switched away from what the model said."""
        return bool(self.after) and self.before == self.model and self.after != self.model


class Feedback(Frozen):
    """How a reader and the model go together, in cases; `cases` are those behind the figures, the latest first.

    Attributes:
        opinions: First opinions given before the answer was shown; `agreed_before` with it.
        decided: Of these, decided by him; `agreed_first`: with the answer before he saw it; `agreed_after`: after it.
        toward: Switched to the model; `away` from it.
        outcomes: Decided, and it is known what turned out; who was right: `right_before`, `right_after`, `right_model`.
        toward_wrong: Switches to the model that turned out wrong; `away_right` switches from it that turned out right.
    """

    opinions: int
    agreed_before: int
    decided: int
    agreed_first: int
    agreed_after: int
    toward: int
    away: int
    outcomes: int
    right_before: int
    right_after: int
    right_model: int
    toward_wrong: int
    away_right: int
    cases: tuple[ReadCase, ...] = ()


class SavedFilter(Frozen):
    """A work list that a user keeps under a name."""

    name: str
    query: WorklistQuery


class User(Frozen):
    """A user. `id` is opaque, for logs and the audit; `name` is what he signs in with, and stands in neither."""

    id: str
    name: str
    roles: tuple[Role, ...]
    disabled: bool = False
    has_password: bool = False


class Imported(Frozen):
    """What importing a run did: shards read now and known before, cases by what became of them."""

    run_id: str
    shards: int = 0
    known: int = 0
    ready: int = 0
    changed: int = 0
    running: int = 0
    waiting: int = 0


class Entry(Frozen):
    """One link of the audit chain."""

    number: int
    at: datetime
    actor: str
    act: str
    case_key: str
    details: str
