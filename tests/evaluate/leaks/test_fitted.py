"""Tables that were scaled over all patients are told from measurements and from scores against other people."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from clinic_mm.evaluate.leaks.findings import Found
from clinic_mm.evaluate.leaks.fitted import fitted_omics, fitted_on_all, fitted_records
from clinic_mm.signals import OmicsSample

N = 120
RNG = np.random.default_rng(5)
RAW = {
    "age": np.round(RNG.normal(61, 14, N)),
    "crp": np.round(RNG.lognormal(3, 1, N), 1),
    "base excess": np.round(RNG.normal(0, 3, N), 1),
    "z of bone density": np.round(RNG.normal(-0.05, 1.02, N), 2),
    "fio2": np.round(RNG.uniform(0.21, 1, N), 2),
}


def rows(columns: dict[str, np.ndarray], patients: list[str] | None = None) -> pd.DataFrame:
    who = patients or [f"p{i}" for i in range(N)]
    parts = [pd.DataFrame({"patient_key": who, "code": c, "value": v, "unit": ""}) for c, v in columns.items()]
    return pd.concat(parts, ignore_index=True)


def asked(n: int = N) -> frozenset[str]:
    return frozenset(f"p{i}" for i in range(n))


def standardised(x: np.ndarray, ddof: int = 0) -> np.ndarray:
    return (x - x.mean()) / x.std(ddof=ddof)


def by_quartiles(x: np.ndarray) -> np.ndarray:
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75))
    return (x - median) / (high - low)


SCALINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "standardised": standardised,
    "by the spread of a sample": lambda x: standardised(x, 1),
    "written with four digits": lambda x: np.round(standardised(x), 4),
    "of float32": lambda x: standardised(x).astype(np.float32),
    "centred alone": lambda x: x - x.mean(),
    "by quartiles": by_quartiles,
}


def test_measurements_and_scores_against_other_people_are_none() -> None:
    found = fitted_records(rows(RAW), asked())
    assert not found.leaks
    assert [(look.of, look.found) for look in found.looked] == [(5, 0)]


@pytest.mark.parametrize("how", SCALINGS)
def test_a_scaled_column_is_an_error_that_names_it(how: str) -> None:
    (leak,) = fitted_records(rows(RAW | {"crp": SCALINGS[how](RAW["crp"])}), asked()).leaks
    assert (leak.code, leak.severity, leak.n, leak.modality) == ("fitted.all_patients", "error", 1, "record")
    assert "crp" in leak.what
    assert "age" not in leak.what


def test_it_is_found_whether_scaled_over_the_cohort_or_over_the_patients_of_the_task() -> None:
    half = standardised(RAW["crp"][: N // 2])
    of_task = np.concatenate([half, standardised(RAW["crp"])[N // 2 :] + 3])
    for values, n in ((standardised(RAW["crp"]), N // 2), (of_task, N // 2)):
        assert fitted_records(rows({"crp": values}), asked(n)).leaks


def test_scaled_by_the_training_patients_alone_is_as_it_should_be() -> None:
    train = RAW["crp"][: N // 2]
    assert not fitted_records(rows({"crp": (RAW["crp"] - train.mean()) / train.std()}), asked()).leaks


@pytest.mark.parametrize("n", [30, 1000])
def test_scores_against_a_reference_are_found_by_chance_in_one_column_of_a_million(n: int) -> None:
    """100,000 columns of exact scores, as a large panel of instruments would give."""
    mean = RNG.normal(0, 1 / np.sqrt(n), 100_000)
    variance = RNG.chisquare(n - 1, 100_000) / n
    assert fitted_on_all(np.full(100_000, n), mean, variance).sum() <= 2


def omics(table: np.ndarray) -> Found:
    names = tuple(f"g{k}" for k in range(table.shape[1]))
    return fitted_omics("gene", ((OmicsSample(row, names, "log", "symbol"), i % 3 > 0) for i, row in enumerate(table)))


def test_an_assay_given_as_z_scores_over_all_samples_is_an_error() -> None:
    values = RNG.normal(6, 2, (N, 50)) * RNG.uniform(0.5, 2, 50)
    assert not omics(values).leaks
    z = ((values - values.mean(axis=0)) / values.std(axis=0)).astype(np.float32)
    (leak,) = omics(z).leaks
    assert (leak.severity, leak.modality, leak.n) == ("error", "gene", 50)
    some = values.copy()
    some[:, :3] = z[:, :3]
    assert not omics(some).leaks, "a few features may be centred by nature"
