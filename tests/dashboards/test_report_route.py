"""Reports over the route: as the command writes them, for readers who gave their own opinion, and for nobody else."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from clinic_mm.report.render import MEDIA_TYPES
from clinic_mm.report.run import open_run
from tests.asking import Asking
from tests.signed_in import signed_in


@pytest.fixture
def asking(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    with signed_in(monkeypatch, tmp_path / "home", made_run) as token:
        from guard.session import person_of
        from routes import report

        yield Asking(report.routes, person_of(token))


def answered(run: Path) -> str:
    return next(one.case_key for one in open_run(run).predictions() if not one.abstained)


def test_a_report_is_sealed_until_the_reader_has_an_opinion_and_then_says_what_was_signed(
    asking: Asking, made_run: Path
) -> None:
    from guard import room

    key, store, who = answered(made_run), room.opened().store, asking.who.user
    sealed = asking.get(f"/v1/case/{key}/report/fhir")
    assert sealed.status_code == 409
    assert b"probability" not in sealed.content
    file = store.begin(key, who)
    file = store.opinion(key, who, version=file.version, verdict="positive", sure=0.5)
    first = asking.get(f"/v1/case/{key}/report/fhir")
    assert first.status_code == 200
    assert orjson.loads(first.content)["identifier"]["value"] == open_run(made_run).prediction(key).content_hash
    assert b'"preliminary"' in first.content
    shown = store.prediction(key, who)
    assert shown
    file = store.decide(key, who, version=file.version, act="accept", verdict=shown.decision)
    store.sign(key, who, version=file.version)
    assert f"FINAL: signed by {who}" in asking.get(f"/v1/case/{key}/report/text").text
    for spelling, kind in MEDIA_TYPES.items():
        answer = asking.get(f"/v1/case/{key}/report/{spelling}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{key}.')
        assert answer.headers["cache-control"] == "private, no-store"


def test_what_is_not_there_is_not_found_and_strangers_get_nothing(asking: Asking, made_run: Path) -> None:
    key = answered(made_run)
    for path in ("/v1/case/none/report/pdf", f"/v1/case/{key}/report/docx"):
        assert asking.get(path).status_code == 404
    asking.who = None
    nothing = asking.get(f"/v1/case/{key}/report/pdf")
    assert (nothing.status_code, nothing.content) == (401, b"")


def test_a_viewer_sees_cases_and_hands_no_report_on(
    made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_in(monkeypatch, tmp_path / "home", made_run, roles=["viewer"]) as token:
        from guard.session import person_of
        from routes import report

        refused = Asking(report.routes, person_of(token)).get(f"/v1/case/{answered(made_run)}/report/pdf")
        assert (refused.status_code, refused.content) == (403, b"")
