"""No page sends a browser a number of an answer that is not given, or hidden: in no table, chart or tooltip."""

import io
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.evaluate.monitor.state import write_state
from clinic_mm.predict.saliency.result import KINDS, evidence_hash
from clinic_mm.report.run import Prediction, open_run, write_shard
from clinic_mm.report.saliency_store import FOLDER, write_saliency
from tests.dashboards.conftest import Page
from tests.dashboards.listed import listed
from tests.dashboards.test_monitor import state_of, stop
from tests.dashboards.test_pages import answered
from tests.report.saliencies import made_saliency
from tests.report.silent import REASON, leaked, telling


def sent(test: AppTest) -> str:
    """All that a page sends: text, tables, and the data behind charts."""
    parts = []
    for element in test:
        proto = getattr(element, "proto", None)
        if isinstance(table := getattr(element, "value", None), pd.DataFrame):
            parts.append(table.to_csv())
        elif hasattr(proto, "datasets"):
            tables = [one.data.data for one in proto.datasets] + [proto.data.data]
            parts += [
                proto.spec,
                *(pa.ipc.open_stream(io.BytesIO(raw)).read_all().to_pandas().to_csv() for raw in tables if raw),
            ]
        else:
            parts.append(str(_without_code(proto)))
    return "\n".join(parts).replace("−", "-").replace("\\", "")


def _without_code(proto: object) -> object:
    """Scripts and styles of viewers are files of ours, the same for every case; numbers in them are of no answer."""
    if not hasattr(proto, "js_content"):
        return proto
    told = type(proto)()
    told.CopyFrom(proto)
    for name in ("js_content", "css_content", "html_content"):
        told.ClearField(name)
    return told


@pytest.fixture
def silent_run(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Prediction]:
    """The run once more, and its complete-most case, which tells all it can and has saliency; the answer is given."""
    run = Path(shutil.copytree(made_run, tmp_path / "run"))
    (tmp_path / "cohort").symlink_to(made_run.parent / "cohort")
    monkeypatch.setenv("CLINIC_MM_RUN", str(run))
    found = telling(answered(run))
    case = next(c for c in open_cohort(made_run.parent / "cohort").cases() if c.case_key == found.case_key)
    for kind in set(KINDS) & set(found.pattern):
        write_saliency(made_saliency(kind, found.case_key, evidence=evidence_hash(case.usable(kind)[-1])), run / FOLDER)
    return run, found


def store(run: Path, found: Prediction) -> None:
    """Put it in the place of what the run had."""
    others = [p for p in open_run(run).predictions() if p.case_key != found.case_key]
    write_shard([*others, found], run / "shards" / "part-00000.parquet")


def test_what_an_answered_case_shows_is_seen_by_this_test(page: Page, silent_run: tuple[Path, Prediction]) -> None:
    run, found = silent_run
    store(run, found)
    shown = sent(page("case", case=found.case_key))
    assert len(leaked(found, shown)) > len(found.pattern)
    assert "lowers the log-odds of positive by 1.50" in shown
    row = listed(page()).set_index("Case").loc[found.case_key]
    assert row["Urgency"] == pytest.approx(found.probabilities[1])


@pytest.mark.parametrize("how", ["abstained", "stopped", "screened", "named"])
def test_no_page_tells_an_answer_that_is_not_shown(
    page: Page, silent_run: tuple[Path, Prediction], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, found = silent_run
    state = state_of(stop("modality", found.pattern[0]), model_hash=found.model_hash)
    if how == "abstained":
        found = found.model_copy(update={**REASON, "decision": ""})
    elif how == "screened":  # withheld while screening; since then somebody named a state without stops
        found = found.model_copy(update={"withheld": state.withheld(found.pattern)})
        write_state(state_of(model_hash=found.model_hash), tmp_path / "calm")
        monkeypatch.setenv("CLINIC_MM_MONITOR", str(tmp_path / "calm"))
    if how in {"stopped", "screened"}:
        write_state(state, run)
    if how == "named":
        write_state(state, tmp_path / "watch")
        monkeypatch.setenv("CLINIC_MM_MONITOR", str(tmp_path / "watch"))
    store(run, found)
    case, about = page("case", case=found.case_key), page("about")
    assert not case.exception
    for shown in (sent(case), sent(about)):
        assert leaked(found, shown) == []
        assert "hiding it lowers" not in shown
    row = listed(page()).set_index("Case").loc[found.case_key]
    assert row["Answer"] == ("No answer" if how == "abstained" else "Hidden")
    assert np.isnan(row["Urgency"])
    assert leaked(found, row.to_csv()) == []
