import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from clinic_mm.bundle import folder
from clinic_mm.signals import RECORD_COLUMNS
from clinic_mm.types import Evidence, Flag

sys.path.insert(0, str(folder("dashboards")))

from components.ct import in_words as ct_in_words
from components.ct import windows
from components.keys import TAKEN, keymap
from components.plain import MARKUP, plain
from components.record import demographics, facts_shown
from components.xray import in_words as xray_in_words


def test_what_a_viewer_shows_is_said_in_words_too() -> None:
    meta = {"shape": [512, 512, 41], "spacing_mm": [0.8, 0.8, 5.0]}
    flag = Flag(code="ct.tilt_corrected", why="The gantry was tilted by 14.0 degrees")
    ct = Evidence(modality="ct", root="dicom", paths=("a",), meta=meta, flags=(flag,))
    assert ct_in_words(ct) == "512 × 512 × 41 voxels of 0.80 × 0.80 × 5.00 mm · The gantry was tilted by 14.0 degrees"
    xray = Evidence(modality="xray", root="dicom", paths=("a",), meta={"shape": [9, 7], "view_position": "PA"})
    assert xray_in_words(xray) == "View PA · 9 × 7 pixels, pixel size unknown"
    assert xray_in_words(xray.model_copy(update={"meta": {}})) == "View not stated"


def test_every_window_has_a_key_and_no_key_does_two_things_or_is_taken() -> None:
    for place in ("worklist", "case", "ct", "xray", "eeg"):
        used = [key for row in keymap(place)["keys"] for key in row["keys"]]
        assert len(used) == len(set(used)), place
        assert not TAKEN & set(used)
        assert all(row["does"] for row in keymap(place)["keys"])
    actions = {row["action"]: row["does"] for row in keymap("ct")["keys"]}
    for at, window in enumerate(windows(), start=1):
        assert actions[f"window_{at}"] == f"Window: {window['name'].lower()}"


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
