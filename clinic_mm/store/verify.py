"""Whether the audit is whole: the chain itself, the signed heads outside the database, and what the chain speaks of.

In:  a database, its folder of heads. Out: `Verified`: findings, none where all is as it was written.

    audit.changed     a link is not what was hashed              audit.cut      the newest links are gone
    audit.gap         numbers lack                               audit.other    the link under a signed head is another
    audit.order       a link does not follow the one before      audit.head     a line of the heads is not ours
    audit.forged      a link was not made with our key           audit.no_head  links, and no head of them
    act.*             what a person did was changed, removed or added; case.*, user.*, answer.* too (`store.matching`)

Nothing is written, and nothing is mended.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_mm.store.chain import hash_of
from clinic_mm.store.database import Database
from clinic_mm.store.heads import FIRST, Head, Heads
from clinic_mm.store.matching import Spoken, against_tables
from clinic_mm.store.models import AuditRow
from clinic_mm.types import Frozen

PAGE: Final = 2000
MOST: Final = 1000
"""So many findings say enough."""


class Finding(Frozen):
    """Something that is not as it was written: a stable code, the link or row, and words."""

    code: str
    where: str
    what: str


class Verified(Frozen):
    """What was found, of how many links and heads, and the newest link: keep that elsewhere too."""

    findings: tuple[Finding, ...]
    links: int
    heads: int
    number: int
    hash: str

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


class _Found(NamedTuple):
    code: str
    where: str
    what: str


def verify(db: Database, expect: Head | None = None) -> Verified:
    """Verify the audit of a store.

    Args:
        db: Opened for reading is enough.
        expect: A head that somebody kept elsewhere: its link must be there, and the same.

    Raises:
        ArtifactError: If the database is damaged so that it cannot be read.
    """
    known, wrong = _heads(db.heads, expect)
    spoken = Spoken()
    with db.reading() as session:
        walk = _Walk(db.heads, known, spoken)
        findings: list[_Found] = [*wrong]
        against = map(_Found._make, against_tables(session, spoken, db.heads))
        for part in (_readable(walk.links(session), "audit"), walk.ends(), _readable(against, "tables")):
            findings.extend(islice(part, max(0, MOST - len(findings))))
    last = walk.last
    return Verified(
        findings=tuple(Finding(code=f.code, where=f.where, what=f.what) for f in findings),
        links=walk.count,
        heads=len(known),
        number=last.number,
        hash=last.hash,
    )


def _readable(found: Iterator[_Found], where: str) -> Iterator[_Found]:
    """What is found until a value is none that its column could hold: that is a finding too."""
    try:
        yield from found
    except (ValueError, TypeError):
        yield _Found(
            f"{where}.unreadable", where, "A value is none that was ever written; what comes after is not read"
        )


def _heads(heads: Heads, expect: Head | None) -> tuple[dict[int, str], list[_Found]]:
    """Hash by number of every signed head, and what is wrong with them."""
    known: dict[int, str] = {}
    wrong: list[_Found] = []
    for line, head in enumerate(heads.all(), start=1):
        if head is None:
            wrong.append(_Found("audit.head", f"heads line {line}", "This line is not signed with our key"))
        elif known.setdefault(head.number, head.hash) != head.hash:
            wrong.append(_Found("audit.other", f"link {head.number}", "Two signed heads of one number differ"))
    if expect and known.setdefault(expect.number, expect.hash) != expect.hash:
        wrong.append(_Found("audit.other", f"link {expect.number}", "The signed head is not the one that was kept"))
    return known, wrong


class _Walk:
    """One walk over the chain, from the first link to the last."""

    def __init__(self, heads: Heads, known: dict[int, str], spoken: Spoken) -> None:
        self._heads, self._known, self._spoken = heads, known, spoken
        self.last, self.count = Head(0, FIRST), 0

    def links(self, session: Session) -> Iterator[_Found]:
        """What is wrong with links."""
        asked = select(AuditRow).order_by(AuditRow.number).execution_options(yield_per=PAGE)
        for row in session.scalars(asked):
            yield from self._one(row)
            self._spoken.hear(row)
            self.last, self.count = Head(row.number, row.hash), self.count + 1
            session.expunge(row)

    def ends(self) -> Iterator[_Found]:
        """What is wrong with the end of the chain."""
        newest = max(self._known, default=0)
        if newest > self.last.number:
            gone = newest - self.last.number
            yield _Found("audit.cut", f"link {self.last.number}", f"The newest links are gone: at least {gone}")
        if self.count and not self._known:
            yield _Found("audit.no_head", "heads", "There are links, and no signed head of them")

    def _one(self, row: AuditRow) -> Iterator[_Found]:
        where = f"link {row.number}"
        if row.number != self.last.number + 1:
            yield _Found("audit.gap", where, f"It follows link {self.last.number}: links lack between them")
        if row.before != self.last.hash:
            yield _Found("audit.order", where, "It does not follow the link before it")
        if row.hash != hash_of(row):
            yield _Found("audit.changed", where, "It is not what was written")
        if not self._heads.genuine(f"link:{row.hash}", row.mac):
            yield _Found("audit.forged", where, "It was not written with our key")
        if self._known.get(row.number, row.hash) != row.hash:
            yield _Found("audit.other", where, "It is not the link whose head was signed")
