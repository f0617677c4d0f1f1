"""Arithmetic of the canvases: millimetres, extremes, chains, ranges to fetch, lanes and spans of the timeline."""

import numpy as np
import pytest

from clinic_mm.prep.montage import MONTAGES, montage, montage_table
from clinic_mm.viewing.eeg import montages
from tests.viewing.js import evaluated

NAMES = montage_table().electrodes


def test_microvolts_become_millimetres_and_negative_goes_up() -> None:
    told = evaluated("eeg_trace", "[-70, 70].flatMap((uv) => [true, false].map((up) => m.pixelsBelow(uv, 7, 4, up)))")
    assert told == [-40, 40, 40, -40]  # 10 mm of 4 pixels; above the line is less than 0
    assert evaluated("eeg_trace", "[m.mmPerSecond(1200, 10, 4), m.CSS_PX_PER_MM]") == [30, pytest.approx(96 / 25.4)]


def test_the_browser_derives_every_montage_as_the_matrix_says() -> None:
    volts = np.random.default_rng(4).normal(0, 2e-5, (len(NAMES), 50)).astype(np.float32)
    sent = montages(NAMES, ("F7",))
    code = (
        "(() => { const v = Float32Array.from(volts);"
        " return sent.map((one) => { const c = m.commonOf(one.common, v, 50);"
        " return one.rows.filter((row) => row.pairs.length)"
        ".map((row) => m.derive(row, row.common ? c : null, v, 50, 5, 45)); }); })()"
    )
    found = evaluated("eeg_trace", code, volts=volts.ravel().tolist(), sent=sent)
    for name, rows in zip(MONTAGES, found, strict=True):
        matrix = montage(name, NAMES, () if name == "referential" else ("F7",))
        expected = matrix.matrix[matrix.there] @ volts[:, 5:45].astype(float) * 1e6
        np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_no_sample_is_lost_between_two_columns() -> None:
    x = np.random.default_rng(5).normal(size=1003)
    x[400:410] = np.nan
    told = evaluated(
        "eeg_trace",
        "m.extremes(Float64Array.from(x, (v) => v ?? NaN), 97)",
        x=[None if np.isnan(v) else float(v) for v in x],
    )
    columns = np.minimum(96, np.arange(1003) * 97 // 1003)
    for column in range(97):
        here = x[columns == column]
        assert told["least"][column] == pytest.approx(np.nanmin(here))
        assert told["greatest"][column] == pytest.approx(np.nanmax(here))


def test_chains_clock_and_missing_chunks() -> None:
    pairs = list(montage_table().pairs["banana"])
    expected = [at > 0 and pairs[at - 1].split("-")[1] != pairs[at].split("-")[0] for at in range(len(pairs))]
    code = (
        "[m.chainEnds(pairs), [59.999, 3723.46, 0].map((s) => m.clock(s, 1)),"
        " m.missingRuns(95, 520, 100, (at) => at === 2)]"
    )
    chains, clocks, runs = evaluated("eeg_trace", code, pairs=pairs)
    assert chains == expected
    assert clocks == ["0:01:00.0", "1:02:03.5", "0:00:00.0"]
    assert runs == [[0, 1], [3, 5]]


def test_the_timeline_puts_the_decision_right_and_back_again() -> None:
    fact = {"value": 1.0, "words": "1 mg", "range": "", "flag": "", "said": "", "when": ""}
    lane = {"low": None, "high": 5, "facts": [fact | {"hours": hours} for hours in (900, 40, 3)]}
    code = (
        "(() => { const spans = m.spansOf([lane]); return { spans, first: m.firstSpan([lane], spans, 0.6),"
        " x: m.xOf(0, 72, 100, 1000), back: m.hoursAtX(m.xOf(17.5, 72, 100, 1000), 72, 100, 1000),"
        " reach: m.reachOf(lane, 72), near: m.nearest(lane, 30), words: m.laneWords(lane) }; })()"
    )
    told = evaluated("timeline_place", code, lane=lane)
    assert told["spans"] == [6, 24, 72, 168, 720, 2160]
    assert told["first"] == 72
    assert told["x"] == 1060
    assert told["back"] == pytest.approx(17.5)
    assert told["reach"][0] < 1 < 5 < told["reach"][1]
    assert told["near"] == 1
    assert told["words"] == "1 mg · to 5"
