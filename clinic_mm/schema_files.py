"""Write schemas/*.schema.json: what crosses a border, for other software, from the models themselves.

In:  the pydantic models. Out: one JSON Schema (draft 2020-12) each. Run as `python -m clinic_mm.schema_files`.

Files that people write (task, ingest and mapping file) may leave out what has a default; files that we write hold all.
Nothing here decides what a model is; a test keeps the files equal to the models.
"""

from collections.abc import Mapping as Map
from pathlib import Path
from typing import Final, Literal, NamedTuple

import orjson
from pydantic import BaseModel

from clinic_mm.bundle import folder
from clinic_mm.cohort.describe import Description
from clinic_mm.cohort.manifest import CohortInfo
from clinic_mm.cohort.spec import CohortSpec
from clinic_mm.deid.record import DeidRecord
from clinic_mm.drafting.draft import Draft
from clinic_mm.evaluate.leaks.findings import Checked
from clinic_mm.evaluate.monitor.state import MonitorState
from clinic_mm.jobs.spec import JobSpec
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.run import RunInfo
from clinic_mm.simulate.limit import Limit
from clinic_mm.site import SiteSettings
from clinic_mm.sources.tables.mapping import Mapping
from clinic_mm.task import Task
from clinic_mm.types import CaseRecord

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SUFFIX: Final = ".schema.json"


class Border(NamedTuple):
    """A model that crosses a border, and who writes it: a person (`validation`) or we (`serialization`)."""

    model: type[BaseModel]
    mode: Literal["validation", "serialization"]


BORDERS: Final[Map[str, Border]] = {
    "task": Border(Task, "validation"),
    "cohort_file": Border(CohortSpec, "validation"),
    "mapping": Border(Mapping, "validation"),
    "cohort": Border(CohortInfo, "serialization"),
    "case": Border(CaseRecord, "serialization"),
    "description": Border(Description, "serialization"),
    "draft": Border(Draft, "serialization"),
    "prediction": Border(Prediction, "serialization"),
    "run": Border(RunInfo, "serialization"),
    "job": Border(JobSpec, "serialization"),
    "checks": Border(Checked, "serialization"),
    "limit": Border(Limit, "serialization"),
    "monitor": Border(MonitorState, "serialization"),
    "deidentified": Border(DeidRecord, "serialization"),
    "dashboard": Border(SiteSettings, "validation"),
}
"""By the name of the file."""


def schema(name: str) -> dict[str, object]:
    """The JSON Schema of one border."""
    model, mode = BORDERS[name]
    return {"$schema": DIALECT, "$id": f"urn:clinic_mm:{name}", **model.model_json_schema(mode=mode)}


def schema_files() -> dict[str, bytes]:
    """Content of every schema file, by its name."""
    style = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return {name + SUFFIX: orjson.dumps(schema(name), option=style) for name in BORDERS}


def write(into: Path) -> None:
    """Write all files, and take away those of borders that are no more."""
    files = schema_files()
    for old in into.glob(f"*{SUFFIX}"):
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        (into / name).write_bytes(content)


if __name__ == "__main__":
    write(folder("schemas"))
