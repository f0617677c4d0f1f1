import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from clinic_mm.bundle import folder
from clinic_mm.prep.montage import MONTAGES, montage_table
from clinic_mm.signals import RECORD_COLUMNS, CtVolume, EegRecording

sys.path.insert(0, str(folder("dashboards")))

from components.ct import planes_at, to_grey
from components.eeg import montaged
from components.plain import MARKUP, plain
from components.record import demographics, facts_shown


def brightest(image: np.ndarray) -> tuple[float, float]:
    """Row and column of the centre of what is bright, as fractions; the marks are amber, so blue leaves them out."""
    rows, columns = np.nonzero(image[:, :, 2] > 250)
    inside = (rows > 30) & (rows < image.shape[0] - 30) & (columns > 30) & (columns < image.shape[1] - 30)
    return float(np.median(rows[inside]) / image.shape[0]), float(np.median(columns[inside]) / image.shape[1])


def test_planes_are_in_radiological_orientation() -> None:
    """Patient's right on the left of the image, anterior on top (or left, sagittal), head on top."""
    hu = np.full((40, 50, 60), -1000.0, np.float32)
    hu[28:34, 8:14, 44:50] = 3000.0  # right, posterior, superior
    planes = planes_at(CtVolume(hu, (1.0, 1.0, 1.0)), (31, 11, 47), "Mediastinum")
    down, across = brightest(planes["axial"])
    assert down > 0.6
    assert across < 0.4
    down, across = brightest(planes["coronal"])
    assert down < 0.4
    assert across < 0.4
    down, across = brightest(planes["sagittal"])
    assert down < 0.4
    assert across > 0.6


def test_pixels_are_square_in_mm() -> None:
    planes = planes_at(CtVolume(np.zeros((20, 20, 20), np.float32), (1.0, 1.0, 5.0)), (9, 9, 9), "Lung")
    assert planes["coronal"].shape[0] / planes["coronal"].shape[1] == pytest.approx(5, rel=0.02)


def test_a_window_maps_its_edges_to_black_and_white_and_nan_to_air() -> None:
    hu = np.array([[-160.0, 40.0, 240.0, np.nan]])
    assert to_grey(hu, "Mediastinum").tolist() == [[0, 128, 255, 0]]


@pytest.mark.parametrize("montage", MONTAGES)
def test_montages_do_not_see_what_all_channels_share_except_as_recorded(montage: str) -> None:
    rng = np.random.default_rng(0)
    names = montage_table().electrodes
    volts = rng.normal(0, 1e-5, (len(names), 1000))
    shared = np.sin(np.arange(1000) / 5) * 1e-4
    _, before = montaged(EegRecording(volts.astype(np.float32), names, 100.0), montage, 0, 10)
    _, after = montaged(EegRecording((volts + shared).astype(np.float32), names, 100.0), montage, 0, 10)
    assert np.allclose(before, after, atol=1e-9) == (montage != "referential")


def test_double_banana_is_first_minus_second_of_pairs_that_exist() -> None:
    volts = np.array([[3.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    names, traces = montaged(EegRecording(volts, ("Fp1", "F7", "X1"), 1.0), "banana", 0, 3)
    assert names == ["Fp1-F7"]
    assert traces.tolist() == [[2.0, 0.0, 0.0]]


def test_a_recording_without_pairs_has_an_empty_banana() -> None:
    names, traces = montaged(EegRecording(np.zeros((1, 5), np.float32), ("Q",), 1.0), "banana", 0, 3)
    assert names == []
    assert traces.shape == (0, 3)


def test_a_gap_stays_a_gap_and_a_bad_channel_is_in_no_derivation() -> None:
    volts = np.ones((3, 10), np.float32)
    volts[:, 4:6], volts[2] = np.nan, np.nan
    eeg = EegRecording(volts, ("Fp1", "F7", "F3"), 1.0, bad=("F3",))
    names, traces = montaged(eeg, "banana", 0, 10)
    assert names == ["Fp1-F7"]
    assert np.isnan(traces[0]).tolist() == [4 <= sample < 6 for sample in range(10)]


def test_the_record_shows_age_not_birth_date_and_no_source_ids() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [
        ("p7", "demographic", "birth_date", "Date of birth", np.nan, "1958-05-02", "", pd.NaT, "s1"),
        ("p7", "demographic", "sex", "Sex", np.nan, "female", "", pd.NaT, "s1"),
        ("p7", "observation", "loinc:718-7", "Hemoglobin", 13.456, "", "g/dL", pd.Timestamp(at), "s2"),
    ]
    frame = pd.DataFrame(rows, columns=list(RECORD_COLUMNS[:9]))
    assert demographics(frame, at) == "67 years, female"
    table = facts_shown(frame)
    assert table["Value"].to_list() == ["13.46"]
    assert not {"p7", "s2", "1958-05-02"} & {str(cell) for cell in table.to_numpy().ravel()}


def test_plain_leaves_no_markup_unescaped() -> None:
    hostile = "![x](http://a/b.png) **b** :red[c] <b> $x$ `d` | # e\x1b[2J"
    assert all(plain(hostile)[m.start() - 1] == "\\" for m in MARKUP.finditer(plain(hostile)) if m.group() != "\\")
