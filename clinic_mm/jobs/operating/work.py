"""What a run is doing now, and what it could not do: read from its ledger, which is never written or held up.

In:  a run folder, the time. Out: `Work`: pace, time left, what is handed out since when; why cases have no answer,
counted by reason; each case that failed or killed its worker. How far the run is, is `jobs.state`, as for `describe`.

One short read of SQLite in WAL mode: the driver commits meanwhile. A case is named by its key alone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, Field

from clinic_mm.jobs.ledger_read import LedgerReader, read_only
from clinic_mm.jobs.operating.limits import limits
from clinic_mm.jobs.spec import JobSpec, read_spec
from clinic_mm.jobs.state import RunState, run_state
from clinic_mm.report.driven import WATCH, is_driven
from clinic_mm.types import Frozen

MOST_SHOWN: Final = 200
HOUR_S: Final = 3600.0


class Why(Frozen):
    """A reason why cases have no answer, and how many; `example` is that of one of them."""

    status: str
    modality: str
    code: str
    cases: int = Field(ge=1)
    example: str


class Troubled(Frozen):
    """A case that failed, or killed its worker, so many times; `quarantined` is left alone."""

    case_key: str
    state: str
    tries: int
    why: str


class Work(Frozen):
    """What a run is doing.

    Attributes:
        watched: Whether a watch will screen what arrives, also while nothing is to be done.
        last_at: When a unit was last written down: the heartbeat of the driver.
        units: Handed out now.
        since: Of these, the one that takes longest.
        unit_limit_s: After which its worker is taken for hung.
        per_hour: Cases, over the last minutes; None where too few units ended to tell.
        left_s: At that pace.
        skipped: Why cases have no answer, the most frequent reason first.
        refused: By code, what ingest had taken and reading refused.
        troubled: The worst first, at most MOST_SHOWN.
    """

    state: RunState
    watched: bool
    last_at: AwareDatetime | None
    units: int
    since: AwareDatetime | None
    unit_limit_s: float
    per_hour: float | None
    left_s: float | None
    skipped: tuple[Why, ...]
    refused: dict[str, int]
    troubled: tuple[Troubled, ...]


def work_of(run: Path, now: datetime) -> Work | None:
    """What a run is doing; None for a run of a version that kept no ledger.

    Raises:
        ArtifactError: If its job or its ledger cannot be read.
        InputError: If the ledger cannot be opened.
    """
    state, spec = run_state(run), read_spec(run)
    if state is None or spec is None:
        return None
    with read_only(run) as ledger:
        return _work(ledger, run, spec, state, now)


def _work(ledger: LedgerReader, run: Path, spec: JobSpec, state: RunState, now: datetime) -> Work:
    units, since = ledger.db.execute("SELECT count(*), min(at) FROM units WHERE state = 'claimed'").fetchone()
    (last_at,) = ledger.db.execute("SELECT max(at) FROM units WHERE state = 'ended'").fetchone()
    per_hour = pace(_ended_lately(ledger, now), now) if state.running else None
    return Work(
        state=state,
        watched=is_driven(run, WATCH),
        last_at=_time(last_at),
        units=units if state.running else 0,
        since=_time(since) if state.running else None,
        unit_limit_s=spec.unit_limit_s,
        per_hour=per_hour,
        left_s=state.pending / per_hour * HOUR_S if per_hour else None,
        skipped=_whys(ledger),
        refused=dict(ledger.refused()),
        troubled=_troubled(ledger),
    )


def pace(ended: Sequence[tuple[datetime, int]], now: datetime) -> float | None:
    """Cases an hour, since the first of some units ended: what that unit took is not known, so it does not count.

    Args:
        ended: When each unit ended, with its number of cases, in order.
        now: So a driver that ends nothing more grows slower.
    """
    if len(ended) < 2 or now <= ended[0][0]:
        return None
    return sum(cases for _, cases in ended[1:]) / (now - ended[0][0]).total_seconds() * HOUR_S


def _ended_lately(ledger: LedgerReader, now: datetime) -> list[tuple[datetime, int]]:
    begin = now - timedelta(minutes=limits().work.pace_minutes)
    asked = (
        "SELECT units.at, count(*) FROM units JOIN cases ON unit = number"
        " WHERE units.state = 'ended' AND units.at > ? GROUP BY number ORDER BY units.at"
    )
    return [(datetime.fromisoformat(at), cases) for at, cases in ledger.db.execute(asked, (begin.isoformat(),))]


def _whys(ledger: LedgerReader) -> tuple[Why, ...]:
    asked = (
        "SELECT coalesce(status, ''), coalesce(modality, ''), coalesce(code, ''), count(DISTINCT case_id) AS n,"
        " coalesce(min(why), '') FROM whys GROUP BY 1, 2, 3 ORDER BY n DESC, 1, 2, 3 LIMIT ?"
    )
    return tuple(
        Why(status=status, modality=modality, code=code, cases=n, example=why)
        for status, modality, code, n, why in ledger.db.execute(asked, (MOST_SHOWN,))
    )


def _troubled(ledger: LedgerReader) -> tuple[Troubled, ...]:
    asked = (
        "SELECT case_key, state, tries, coalesce(nullif(group_concat(why, '; '), ''), reason)"
        " FROM cases LEFT JOIN whys ON case_id = id"
        " WHERE state IN ('failed', 'quarantined') OR (state = 'pending' AND tries > 0)"
        " GROUP BY id ORDER BY tries DESC, place LIMIT ?"
    )
    return tuple(
        Troubled(case_key=key, state=state, tries=tries, why=why)
        for key, state, tries, why in ledger.db.execute(asked, (MOST_SHOWN,))
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
