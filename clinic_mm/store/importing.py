"""Import a screening run: its finished shards by hash, so that importing again does nothing.

In:  a run folder, finished or not. Out: cases that are ready to be read, with their answers; `Imported`.

Another answer to a case takes the place of the one before while nobody has decided; a reader who has the case open is
told by the next version. Once somebody decided, his answer stays, and the case is marked: a newer one came. A label
that the cohort had is kept as an outcome. Nothing here runs a model; urgency and reason are those of `report.urgency`.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Select, delete, select

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run import AGAIN, JOIN, Run, open_run
from clinic_mm.store.casefile import answer_row, parsed
from clinic_mm.store.chain import canonical
from clinic_mm.store.database import Database, Writing
from clinic_mm.store.live import with_states
from clinic_mm.store.models import ActRow, AnswerRow, CaseRow, OutcomeRow, RunRow, ShardRow
from clinic_mm.store.states import moved
from clinic_mm.store.told import hidden_now, hide_from_the_start, tell, withhold
from clinic_mm.store.values import Imported

AT_ONCE: Final = 16
"""Shards in one transaction, so that nobody waits long for his turn to write."""
Row = TypeVar("Row", CaseRow, OutcomeRow)
COHORT: Final = "cohort"
"""Source of an outcome that the cohort had as its label."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of a shard."""

    case_key: str
    label: int | None
    text: str
    prediction: Prediction

    @property
    def sha256(self) -> str:
        """Of the JSON."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def import_run(
    db: Database, path: Path, now: datetime | None = None, hides: Callable[[tuple[str, ...]], str] | None = None
) -> Imported:
    """Import what is finished of a run and not in the store yet.

    Args:
        db: Of the store.
        path: Run folder.
        now: By the clock where it is not given.
        hides: Why the answers of a pattern are hidden, "" where they are not: they are hidden from the first moment on.

    Raises:
        ArtifactError: If the folder is no run, or a shard is damaged.
        InputError: If the store holds cases of another question.
    """
    run = open_run(path)
    with db.writing(now) as work:
        _run_known(work, run)
    if hides is not None:
        withhold(db, hides)
    done = Imported(run_id=run.info.run_id)
    shards = run.shards
    for start in range(0, len(shards), AT_ONCE):
        with db.writing(now) as work:
            for shard in shards[start : start + AT_ONCE]:
                done = _shard(work, run, shard, done, hides)
    return with_states(db, run, now, done)


def _run_known(work: Writing, run: Run) -> None:
    """One store, one question: a case key stands for a patient and a time, whatever is asked of them."""
    info = run.info
    other = select(RunRow).where((RunRow.target != info.target) | (RunRow.classes != JOIN.join(info.classes)))
    if work.session.scalars(other).first() is not None:
        mend = "Give every question a store of its own"
        raise InputError("The store holds cases of another question", "target", mend)
    if work.session.get(RunRow, info.run_id) is None:
        work.session.add(
            RunRow(
                run_id=info.run_id,
                target=info.target,
                classes=JOIN.join(info.classes),
                modalities=JOIN.join(info.modalities),
                model_hash=info.model.hash,
                simulated=info.simulated,
                imported_at=work.now,
            )
        )
        work.link("run", run=info.run_id, model=info.model.hash)


def _shard(
    work: Writing, run: Run, shard: Path, done: Imported, hides: Callable[[tuple[str, ...]], str] | None
) -> Imported:
    """One shard, if it is new or another than before."""
    name, stat = shard.relative_to(run.path / "shards").as_posix(), shard.stat()
    known = work.session.get(ShardRow, (run.info.run_id, name))
    if known and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return done.model_copy(update={"known": done.known + 1})
    sha256 = hashlib.sha256(shard.read_bytes()).hexdigest()
    if known and known.sha256 == sha256:
        known.size, known.mtime_ns = stat.st_size, stat.st_mtime_ns
        return done.model_copy(update={"known": done.known + 1})
    answers = list(_answers(run, shard))
    if hides is not None:
        hide_from_the_start(work, (one.prediction.pattern for one in answers), hides)
    fresh, changed = _kept(work, run, answers)
    row = known or ShardRow(run_id=run.info.run_id, name=name)
    row.size, row.mtime_ns, row.sha256 = stat.st_size, stat.st_mtime_ns, sha256
    work.session.add(row)
    told = sorted((answer.case_key, answer.sha256) for answer in answers)
    digest = hashlib.sha256(canonical(told)).hexdigest()
    work.link("import", run=run.info.run_id, shard=name, sha256=sha256, cases=len(answers), answers=digest)
    counts = {"shards": done.shards + 1, "ready": done.ready + fresh, "changed": done.changed + changed}
    return done.model_copy(update=counts)


def _answers(run: Run, shard: Path) -> Iterator[Answer]:
    for case_key, label, text in run.stored(shard):
        try:
            yield Answer(case_key, label, text, Prediction.model_validate_json(text))
        except ValueError:
            raise ArtifactError("A stored Prediction is damaged", f"case {case_key}", AGAIN) from None


def _kept(work: Writing, run: Run, answers: Sequence[Answer]) -> tuple[int, int]:
    """Keep answers.

    Returns:
        Cases that are ready now, and cases whose answer is another now.
    """
    there = {case.case_key: case for case in work.session.scalars(_of(CaseRow, answers))}
    fresh = [one for one in answers if one.case_key not in there or there[one.case_key].state in ("new", "running")]
    new = {one.case_key for one in fresh}
    _made_ready(work, run, fresh, there)
    changed = sum(_replaced(work, there[one.case_key], one, run) for one in answers if one.case_key not in new)
    _outcomes(work, run, answers)
    work.session.flush()
    return len(fresh), changed


def _made_ready(work: Writing, run: Run, fresh: Sequence[Answer], there: dict[str, CaseRow]) -> None:
    """Cases with their first answers: all rows of a table at once, since a run may have a million."""
    hidden = hidden_now(work.session)
    for one in fresh:
        case = there.get(one.case_key)
        if case is None:
            case = there[one.case_key] = CaseRow(case_key=one.case_key, state="new")
            work.session.add(case)
        moved(case, "ready")
        case.run_id = run.info.run_id
        case.ready_at = min(one.prediction.created_at or work.now, work.now)
        tell(case, one.prediction, hidden)
    work.session.flush()
    rows = [_answer(work, one, run) for one in fresh]
    work.session.add_all(rows)
    work.session.flush()
    for row in rows:
        there[row.case_key].answer_id = row.id


def _replaced(work: Writing, case: CaseRow, answer: Answer, run: Run) -> bool:
    """Whether an answer to a case that had one is another, and was kept."""
    before = answer_row(work.session, case)
    if before is not None and _same(before, answer):
        return False
    if not case.decided and before is not None and not _acted_on(work, case):
        work.session.execute(delete(AnswerRow).where(AnswerRow.id == before.id))
    row = _kept_before(work, answer) or _answer(work, answer, run)
    work.session.add(row)
    work.session.flush()
    if case.decided:
        case.newer = True
    else:
        case.run_id, case.answer_id = run.info.run_id, row.id
        # Who has the case open acts on this answer from now on, and is told by the version that it is another.
        case.answer_hash = answer.prediction.content_hash if case.state == "in_review" else ""
        case.version += 1
        case.last_by, case.last_at = "", work.now
        tell(case, answer.prediction, hidden_now(work.session))
    act = "newer_answer" if case.decided else "another_answer"
    work.link(act, case_key=case.case_key, version=case.version, state=case.state)
    return True


def _same(before: AnswerRow, answer: Answer) -> bool:
    if before.sha256 == answer.sha256:
        return True
    return (before.content_hash or parsed(before).content_hash) == answer.prediction.content_hash


def _acted_on(work: Writing, case: CaseRow) -> bool:
    return work.session.scalars(select(ActRow.number).where(ActRow.case_key == case.case_key)).first() is not None


def _kept_before(work: Writing, answer: Answer) -> AnswerRow | None:
    """An answer that the case had once, and that came back."""
    same = (AnswerRow.case_key == answer.case_key, AnswerRow.sha256 == answer.sha256)
    return work.session.scalars(select(AnswerRow).where(*same)).first()


def _answer(work: Writing, answer: Answer, run: Run) -> AnswerRow:
    return AnswerRow(
        case_key=answer.case_key,
        run_id=run.info.run_id,
        sha256=answer.sha256,
        mac=work.heads.answer_mac(answer.case_key, answer.sha256),
        content_hash="",
        body=zlib.compress(answer.text.encode()),
    )


def _outcomes(work: Writing, run: Run, answers: Sequence[Answer]) -> None:
    """What the cohort knows already."""
    there = {
        row.case_key: row for row in work.session.scalars(_of(OutcomeRow, answers).where(OutcomeRow.source == COHORT))
    }
    for one in answers:
        if one.label is None or not 0 <= one.label < len(run.info.classes):
            continue
        verdict, found = run.info.classes[one.label], there.get(one.case_key)
        if found is None:
            work.session.add(OutcomeRow(case_key=one.case_key, source=COHORT, verdict=verdict, at=work.now))
        elif found.verdict != verdict:
            found.verdict, found.at = verdict, work.now


def _of(table: type[Row], answers: Sequence[Answer]) -> Select[Row]:
    """The rows of these cases."""
    return select(table).where(table.case_key.in_([one.case_key for one in answers]))
