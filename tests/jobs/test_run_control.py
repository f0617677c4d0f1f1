"""What an operator asks of a run, and what a run does where that cannot be, or has changed: nothing is lost unsaid."""

from datetime import UTC, datetime
from pathlib import Path

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.stream import case_index
from clinic_mm.jobs import ledger as ledgers
from clinic_mm.jobs.plan import plan
from clinic_mm.jobs.spec import JobSpec, Selection, Settings, read_head
from clinic_mm.predict.seen import trained_on
from tests.conftest import Trained


def spec_of(trained: Trained, selection: Selection, model_hash: str = "") -> JobSpec:
    return JobSpec(
        run_id="a",
        model=str(trained.model),
        model_hash=model_hash or trained.model_hash,
        cohort=str(trained.cohort),
        cohort_hash="",
        settings=Settings(unit=2),
        selection=selection,
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
    )


def keys_in(ledger: ledgers.Ledger) -> set[str]:
    return {key for (key,) in ledger.db.execute("SELECT case_key FROM cases")}


def test_who_is_unseen_is_asked_of_each_model_anew(trained: Trained, tmp_path: Path) -> None:
    head, cohort, unseen = read_head(trained.model), open_cohort(trained.cohort), Selection(unseen=True)
    index = case_index(cohort, head.task)
    seen = trained_on(index["patient_key"].unique(), head.facts)
    known = dict(zip(index["case_key"], index["patient_key"].isin(seen), strict=True))
    first = head._replace(hash="1" * 64, facts={**head.facts, "patients_sha256": []})
    with ledgers.opened(tmp_path) as ledger:
        plan(ledger, tmp_path, spec_of(trained, unseen, first.hash), first, cohort, retry=False, say=str)
        assert keys_in(ledger) == known.keys()
        plan(ledger, tmp_path, spec_of(trained, unseen), head, cohort, retry=False, say=str)
        assert keys_in(ledger) == {key for key, was_seen in known.items() if not was_seen} < known.keys()
