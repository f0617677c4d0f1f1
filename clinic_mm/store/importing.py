"""Import a screening run: its finished shards by hash, so that importing again does nothing.

In:  a run folder, finished or not. Out: cases that are ready to be read, with their answers; `Imported`.

Another answer to a case takes the place of the one before while nobody has decided; a reader who has the case open is
told by the next version. Once somebody decided, his answer stays, and the case is marked: a newer one came. A label
that the cohort had is kept as an outcome. Nothing here runs a model; urgency and reason are those of `report.urgency`.
"""

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from sqlalchemy import delete, select

from clinic_mm.errors import ArtifactError, InputError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run import AGAIN, JOIN, Run, open_run
from clinic_mm.report.urgency import missing_of, reason_of, unknown_urgency, urgency_of
from clinic_mm.store.casefile import answer_row, parsed
from clinic_mm.store.chain import canonical
from clinic_mm.store.database import Database, Writing
from clinic_mm.store.live import NOTHING_KNOWN, with_states
from clinic_mm.store.models import ActRow, AnswerRow, CaseRow, OutcomeRow, RunRow, ShardRow
from clinic_mm.store.ranking import rank
from clinic_mm.store.states import moved
from clinic_mm.store.values import Imported

AT_ONCE: Final = 16
"""Shards in one transaction, so that nobody waits long for his turn to write."""
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


def import_run(db: Database, path: Path, now: datetime | None = None) -> Imported:
    """Import what is finished of a run and not in the store yet.

    Raises:
        ArtifactError: If the folder is no run, or a shard is damaged.
        InputError: If the store holds cases of another question.
    """
    run = open_run(path)
    with db.writing(now) as work:
        _run_known(work, run)
    done = Imported(run_id=run.info.run_id)
    shards = run.shards
    for start in range(0, len(shards), AT_ONCE):
        with db.writing(now) as work:
            for shard in shards[start : start + AT_ONCE]:
                done = _shard(work, run, shard, done)
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


def _shard(work: Writing, run: Run, shard: Path, done: Imported) -> Imported:
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
    keys = [answer.case_key for answer in answers]
    there = {case.case_key: case for case in work.session.scalars(select(CaseRow).where(CaseRow.case_key.in_(keys)))}
    fresh = changed = 0
    for answer in answers:
        case = there.get(answer.case_key)
        if case is None:
            case = CaseRow(case_key=answer.case_key, run_id=run.info.run_id, state="new", rank=0.0)
            work.session.add(case)
        if case.state in ("new", "running"):
            moved(case, "ready")
            fresh += 1
            _stands(work, case, answer, run)
        else:
            changed += _replaced(work, case, answer, run)
    _outcomes(work, run, answers)
    work.session.flush()
    return fresh, changed


def _replaced(work: Writing, case: CaseRow, answer: Answer, run: Run) -> bool:
    """Whether an answer to a case that had one is another, and was kept."""
    before = answer_row(work.session, case)
    if before is not None and _same(before, answer):
        return False
    if case.decided:
        _row(work, answer, run)
        case.newer = True
        work.link("newer_answer", case_key=case.case_key, version=case.version, state=case.state)
        return True
    if before is not None and not _acted_on(work, case):
        work.session.execute(delete(AnswerRow).where(AnswerRow.id == before.id))
    _stands(work, case, answer, run)
    case.version += 1
    case.last_by, case.last_at = "", work.now
    if case.state == "in_review":
        case.answer_hash = answer.prediction.content_hash
    work.link("another_answer", case_key=case.case_key, version=case.version, state=case.state)
    return True


def _same(before: AnswerRow, answer: Answer) -> bool:
    if before.sha256 == answer.sha256:
        return True
    return (before.content_hash or parsed(before).content_hash) == answer.prediction.content_hash


def _acted_on(work: Writing, case: CaseRow) -> bool:
    return work.session.scalars(select(ActRow.number).where(ActRow.case_key == case.case_key)).first() is not None


def _stands(work: Writing, case: CaseRow, answer: Answer, run: Run) -> None:
    """Let an answer be that of a case."""
    prediction = answer.prediction
    case.run_id = run.info.run_id
    work.session.flush()
    case.answer_id, case.answer_hash = _row(work, answer, run).id, ""
    case.pattern = JOIN.join(prediction.pattern)
    case.answered = bool(prediction.decision) and not prediction.withheld
    case.decision = prediction.decision if case.answered else ""
    case.urgency = urgency_of(prediction, _unknown(prediction))
    case.reason, case.missing = reason_of(prediction), missing_of(prediction)
    if case.ready_at is None:
        case.ready_at = min(prediction.created_at or work.now, work.now)
    case.rank = rank(case.urgency, case.ready_at)


def _unknown(prediction: Prediction) -> float:
    prior = prediction.subsets.get("")
    return unknown_urgency(np.asarray(prior)) if prior else NOTHING_KNOWN


def _row(work: Writing, answer: Answer, run: Run) -> AnswerRow:
    asked = select(AnswerRow).where(AnswerRow.case_key == answer.case_key, AnswerRow.sha256 == answer.sha256)
    found = work.session.scalars(asked).first()
    if found is None:
        found = AnswerRow(
            case_key=answer.case_key,
            run_id=run.info.run_id,
            sha256=answer.sha256,
            mac=work.heads.answer_mac(answer.case_key, answer.sha256),
            content_hash="",
            body=zlib.compress(answer.text.encode()),
        )
        work.session.add(found)
        work.session.flush()
    return found


def _outcomes(work: Writing, run: Run, answers: Sequence[Answer]) -> None:
    work.session.flush()
    for answer in answers:
        if answer.label is not None and 0 <= answer.label < len(run.info.classes):
            verdict = run.info.classes[answer.label]
            found = work.session.get(OutcomeRow, (answer.case_key, COHORT))
            if found is None:
                row = OutcomeRow(case_key=answer.case_key, source=COHORT, verdict=verdict, at=work.now)
                work.session.add(row)
            elif found.verdict != verdict:
                found.verdict, found.at = verdict, work.now
