"""The lines of the work list as the page sends them to the browser."""

import json
from typing import Any

import pandas as pd
from streamlit.testing.v1 import AppTest

NAME = "clinic_mm_worklist"


def told(test: AppTest) -> dict[str, Any]:
    """All that the table is told."""
    for element in test:
        proto = getattr(element, "proto", None)
        if getattr(proto, "component_name", "") == NAME:
            found: dict[str, Any] = json.loads(proto.mixed.json or proto.json)
            return found
    message = "there is no work list on this page"
    raise AssertionError(message)


def listed(test: AppTest) -> pd.DataFrame:
    """The words of the table by its headings; `Urgency` is what the bar is drawn of."""
    data = told(test)
    rows = [{column["title"]: row["cells"][column["name"]] for column in data["columns"]} for row in data["rows"]]
    frame = pd.DataFrame(rows, columns=[column["title"] for column in data["columns"]])
    frame["Urgency"] = pd.Series([row["urgency"] for row in data["rows"]], dtype="float64")
    return frame
