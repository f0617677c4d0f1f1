"""Small pictures over their route: at once, to those who may see the case, and nothing of a case without one."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.viewing.thumb import PX
from tests.asking import Asking
from tests.signed_in import signed_in


@pytest.fixture
def asking(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    with signed_in(monkeypatch, tmp_path / "home", made_run) as token:
        from guard.session import person_of
        from routes import pixels, thumb

        yield Asking(thumb.routes, person_of(token))
        thumb.thumbs().close()
        pixels.studies().close()


def test_cases_with_a_picture_show_it_and_no_other_does(asking: Asking, made_run: Path) -> None:
    from routes.thumb import thumbs

    cases = open_cohort(made_run.parent / "cohort").cases()
    expected = {case.case_key: bool(case.usable("ct") or case.usable("xray")) for case in cases} | {"none": False}
    assert any(expected.values())
    for key in expected:
        first = asking.get(f"/v1/case/{key}/thumb")
        assert (first.status_code, first.content) == (202, b"")
    thumbs().settle()
    for key, shown in expected.items():
        answer = asking.get(f"/v1/case/{key}/thumb")
        assert answer.status_code == (200 if shown else 404)
        assert answer.headers["cache-control"].startswith("private")
        if shown:
            assert max(Image.open(BytesIO(answer.content)).size) == PX


def test_only_those_who_may_see_evidence_are_answered(asking: Asking, made_run: Path) -> None:
    from guard.person import Person

    key = open_cohort(made_run.parent / "cohort").cases()[0].case_key
    asking.who = None
    assert asking.get(f"/v1/case/{key}/thumb").status_code == 401
    for role in ("scientist", "admin"):
        asking.who = Person(user="1", name="x", roles=frozenset({role}))
        assert (asking.get(f"/v1/case/{key}/thumb").status_code, asking.get(f"/v1/case/{key}/thumb").content) == (
            403,
            b"",
        )
