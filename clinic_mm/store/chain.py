"""The audit chain: every link holds the hash of the one before it, and a MAC that needs the key.

In:  what was done, by whom, to what, when. Out: a row to be written in the same transaction.

    hash = SHA-256 of the canonical JSON of [number, at, actor, act, case key, details, hash of the link before]
    mac  = HMAC-SHA256 of the hash

A flipped, removed, moved or added link breaks the chain; that the newest links are gone is told by the signed heads
(`store.heads`). Details hold hashes, versions and codes, never what a person wrote: that stands in `acts`, and its hash
here, so a change there is found too.
"""

import hashlib
from datetime import datetime
from typing import Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from clinic_mm.store.heads import FIRST, Head, Heads
from clinic_mm.store.models import ActRow, AuditRow, GlassRow, written

HASHED_ACT: Final = (
    "number", "kind", "case_key", "user_id", "at", "version", "answer_hash", "act", "verdict", "words", "sure",
    "before", "refers",
)  # fmt: skip
HASHED_GLASS: Final = ("number", "user_id", "case_key", "reason", "at", "until")


def newest(session: Session) -> Head:
    """Number and hash of the last link; that before the first one in an empty chain."""
    found = session.execute(select(AuditRow.number, AuditRow.hash).order_by(AuditRow.number.desc()).limit(1)).first()
    return Head(found.number, found.hash) if found else Head(0, FIRST)


def link(
    before: Head, heads: Heads, *, at: datetime, actor: str, act: str, case_key: str, details: dict[str, object]
) -> AuditRow:
    """The next link after `before`."""
    row = AuditRow(
        number=before.number + 1,
        at=at,
        actor=actor,
        act=act,
        case_key=case_key,
        details=canonical(details).decode(),
        before=before.hash,
    )
    row.hash = hash_of(row)
    row.mac = heads.mac(f"link:{row.hash}")
    return row


def hash_of(row: AuditRow) -> str:
    """What the hash of a link must be."""
    told = [row.number, written(row.at), row.actor, row.act, row.case_key, row.details, row.before]
    return hashlib.sha256(canonical(told)).hexdigest()


def digest(row: ActRow | GlassRow) -> str:
    """Hash of what a person did, all of it: its audit link holds it."""
    columns = HASHED_ACT if isinstance(row, ActRow) else HASHED_GLASS
    values = [getattr(row, name) for name in columns]
    return hashlib.sha256(canonical([written(v) if isinstance(v, datetime) else v for v in values])).hexdigest()


def canonical(value: object) -> bytes:
    """JSON with sorted keys, without spaces."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
