"""Slices and pictures over routes: bit for bit those of the files, only to those who may, never another study's."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from clinic_mm.cohort.load import load_evidence
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.types import CaseRecord
from tests.asking import Asking
from tests.signed_in import signed_in

PLANES = ("axial", "coronal", "sagittal")
WAIT_S = 30


@pytest.fixture
def asking(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    with signed_in(monkeypatch, tmp_path / "home", made_run) as token:
        from guard.session import person_of
        from routes import pixels

        yield Asking(pixels.routes, person_of(token))
        pixels.studies().close()


@pytest.fixture
def cases(made_run: Path) -> list[CaseRecord]:
    return open_cohort(made_run.parent / "cohort").cases()


def place(case: CaseRecord, kind: str) -> str:
    from components.evidence import address

    return address(case.case_key, kind, case.usable(kind)[0])


def having(cases: list[CaseRecord], kind: str) -> CaseRecord:
    return next(case for case in cases if case.usable(kind))


def test_slices_are_those_of_the_volume_in_every_plane_from_memory_and_from_disk(
    asking: Asking, cases: list[CaseRecord], made_run: Path
) -> None:
    from routes.pixels import studies

    case = having(cases, "ct")
    volume = load_evidence(case.usable("ct")[0], open_cohort(made_run.parent / "cohort").roots)
    whole = np.rint(volume.hu).astype("<i2")
    for _ in ("fresh", "kept"):
        told = asking.get(f"{place(case, 'ct')}/header").json()
        assert told["shape"] == list(volume.hu.shape)
        assert told["spacing_mm"] == pytest.approx(volume.spacing_mm)
        for plane, expected in zip(
            PLANES, (whole.transpose(2, 1, 0), whole.transpose(1, 2, 0), whole.swapaxes(1, 2)), strict=True
        ):
            answer = asking.get(f"{place(case, 'ct')}/{plane}/3?count=4")
            assert answer.content == np.ascontiguousarray(expected[3:7]).tobytes()
            assert answer.headers["cache-control"] == "private, no-store"
        studies()._keeper.submit(lambda: None).result()
        assert not studies()._fresh, "the second time round it comes from disk"


def test_a_radiograph_is_the_same_through_the_route(asking: Asking, cases: list[CaseRecord], made_run: Path) -> None:
    case = having(cases, "xray")
    image = load_evidence(case.usable("xray")[0], open_cohort(made_run.parent / "cohort").roots)
    told = asking.get(f"{place(case, 'xray')}/header").json()
    values = np.frombuffer(asking.get(f"{place(case, 'xray')}/pixels").content, "<i2")
    assert told["shape"] == list(image.grey.shape)
    assert values.size == image.grey.size
    order = np.argsort(image.grey.ravel(), kind="stable")
    assert (np.diff(values[order].astype(int)) >= 0).all() or told["inverted"]


@pytest.mark.parametrize("path", ["axial/9999", "oblique/0", "axial/0?count=0", "axial/0?count=33", "axial/0?count=x"])
def test_what_is_no_plane_is_not_found(asking: Asking, cases: list[CaseRecord], path: str) -> None:
    assert asking.get(f"{place(having(cases, 'ct'), 'ct')}/{path}").status_code == 404


def test_a_study_opens_under_its_own_case_only(asking: Asking, cases: list[CaseRecord]) -> None:
    mine = having(cases, "xray")
    study = place(mine, "xray").rpartition("/")[2]
    for other in [case.case_key for case in cases if case is not mine] + ["none"]:
        answer = asking.get(f"/v1/case/{other}/xray/{study}/pixels")
        assert answer.status_code == 404
        assert set(answer.json()) == {"what", "mend"}


@pytest.mark.parametrize("part", ["ct/{}/header", "ct/{}/axial/0", "xray/{}/header", "xray/{}/pixels"])
def test_only_those_who_may_see_evidence_are_answered(asking: Asking, cases: list[CaseRecord], part: str) -> None:
    from guard.person import Person

    kind = part.partition("/")[0]
    case = having(cases, kind)
    path = f"/v1/case/{case.case_key}/{part.format(place(case, kind).rpartition('/')[2])}"
    assert asking.get(path).status_code == 200
    asking.who = None
    assert (asking.get(path).status_code, asking.get(path).content) == (401, b"")
    for role in ("scientist", "admin"):
        asking.who = Person(user="1", name="x", roles=frozenset({role}))
        assert (asking.get(path).status_code, asking.get(path).content) == (403, b"")


def test_a_changed_file_is_refused_and_named_nowhere(
    asking: Asking, cases: list[CaseRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = having(cases, "xray")
    monkeypatch.setattr("clinic_mm.viewing.study.content_hash", lambda files: "0" * 64)
    answer = asking.get(f"{place(case, 'xray')}/header")
    assert answer.status_code == 422
    assert answer.json()["what"] == "The files are no longer what ingest read"


def test_what_lies_damaged_in_the_cache_is_decoded_again(asking: Asking, cases: list[CaseRecord]) -> None:
    from routes.pixels import studies

    path = f"{place(having(cases, 'ct'), 'ct')}/axial/0"
    before = asking.get(path).content
    asking.get(path.replace("axial", "coronal"))  # comes when the whole is decoded, which is then kept
    begun = monotonic()
    while not (views := list(studies().cache.folder.rglob("*.view"))) and monotonic() - begun < WAIT_S:
        sleep(0.01)
    (kept,) = views
    whole = bytearray(kept.read_bytes())
    whole[4096] ^= 1
    kept.unlink()
    kept.write_bytes(whole)
    assert asking.get(path).content == before


def test_cases_are_decoded_before_they_are_opened(asking: Asking, cases: list[CaseRecord]) -> None:
    from routes.pixels import studies

    for key in [case.case_key for case in cases] + ["none"]:
        assert asking.get(f"/v1/case/{key}/ahead").status_code == 202
    studies()._warmer.submit(lambda: None).result()
    studies().close()
    kept = len(list(studies().cache.folder.rglob("*.view")))
    assert kept == sum(bool(case.usable(kind)) for case in cases for kind in ("ct", "xray")) > 0
    asking.who = None
    assert asking.get(f"/v1/case/{cases[0].case_key}/ahead").status_code == 401
