"""What the routes of an EEG hand out is what the reader gives, and only to those who may see the case. SIMULATED."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.sources.eeg.recording import load
from tests.asking import Asking
from tests.signed_in import signed_in


@pytest.fixture
def client(made_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    with signed_in(monkeypatch, tmp_path / "home", made_run) as token:
        from guard.session import person_of
        from routes import eeg

        yield Asking(eeg.routes, person_of(token))


@pytest.fixture
def base(client: Asking, made_run: Path) -> tuple[str, np.ndarray, float]:
    """The address of an EEG, and what its reader gives."""
    from components.evidence import address

    cohort = open_cohort(made_run.parent / "cohort")
    case, evidence = next((case, case.usable("eeg")[0]) for case in cohort.cases() if case.usable("eeg"))
    recording = load([cohort.roots[evidence.root] / path for path in evidence.paths])
    return address(case.case_key, "eeg", evidence), np.asarray(recording.volts), recording.sfreq_hz


def test_header_pages_and_overview_are_those_of_the_file(client: Asking, base: Any) -> None:  # noqa: ANN401
    address, volts, sfreq_hz = base
    told = client.get(address).json()
    assert (len(told["channels"]), told["samples"], told["sfreq_hz"], told["judged"]) == (*volts.shape, sfreq_hz, True)
    assert "banana" in [one["name"] for one in told["montages"]]
    answer = client.get(f"{address}/page?start=300&stop=900")
    assert answer.headers["cache-control"] == "private, no-store"
    np.testing.assert_array_equal(np.frombuffer(answer.content, "<f4").reshape(len(volts), -1), volts[:, 300:900])
    found = client.get(f"{address}/overview").json()
    assert [region["name"] for region in found["regions"]] == ["Left", "Right"]
    widest = max(one for one in found["amplitude"]["most_uv"] if one is not None)
    assert widest == pytest.approx(
        max(np.ptp(volts[:, at : at + 64], axis=1).max() for at in range(0, volts.shape[1], 64)) * 1e6, abs=0.1
    )


@pytest.mark.parametrize("span", ["start=-1&stop=5", "start=9&stop=9", "stop=5", "start=1e3&stop=9", "start=٣&stop=9"])
def test_what_is_no_page_is_not_found(client: Asking, base: Any, span: str) -> None:  # noqa: ANN401
    answer = client.get(f"{base[0]}/page?{span}")
    assert answer.status_code == 404
    assert answer.json()["what"] == "There is no such page"


def test_other_studies_and_cases_are_not_found(client: Asking, base: Any) -> None:  # noqa: ANN401
    case, _, study = base[0].rpartition("/")
    assert client.get(f"{case}/{'0' * 16}").status_code == 404
    assert client.get(f"/v1/case/none/eeg/{study}/page?start=0&stop=9").status_code == 404


@pytest.mark.parametrize("part", ["", "/page?start=0&stop=9", "/overview"])
def test_only_those_who_may_are_answered(
    client: Asking,
    base: Any,  # noqa: ANN401
    part: str,
) -> None:
    from guard.person import Person

    client.who = None
    refused = client.get(base[0] + part)
    assert (refused.status_code, refused.content) == (401, b"")
    for role in ("scientist", "admin"):
        client.who = Person(user="1", name="x", roles=frozenset({role}))
        assert (client.get(base[0] + part).status_code, client.get(base[0] + part).content) == (403, b"")


def test_a_file_that_changed_is_refused_and_names_nobody(client: Asking, base: Any, made_run: Path) -> None:  # noqa: ANN401
    from components.evidence import roots, study
    from routes.eeg import studies

    address = base[0]
    _, _, _, key, _, name = address.split("/")
    evidence = study(key, "eeg", name)
    path = next(iter(roots().values())) / evidence.paths[0]
    opened = studies().opened(evidence, roots())
    opened.recording.volts.path = path.with_name("gone.edf")
    answer = client.get(f"{address}/page?start=0&stop=9")
    assert answer.status_code == 422
    assert "gone" not in answer.text
