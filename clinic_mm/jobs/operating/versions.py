"""What runs here: program, Python, libraries with their licences, and the versions of everything that is stored.

In:  this installation, a run. Out: rows for a table. Licences are as each library's own metadata names them.
"""

import platform
from importlib import metadata
from typing import Final

from clinic_mm import __version__
from clinic_mm.extras import CORE, EXTRAS
from clinic_mm.jobs.spec import JobSpec
from clinic_mm.report.ledger_file import VERSION as LEDGER
from clinic_mm.report.run import RunInfo
from clinic_mm.types import SCHEMA_VERSION, Frozen

OWN: Final = "clinic_mm"
MORE: Final = ("numpy", "scipy", "sqlalchemy", "starlette", "uvicorn")
"""Besides what `clinic-mm doctor` names."""
NOT_SAID: Final = "not said in its metadata"
LONGEST: Final = 60
"""Of a licence in one line: some packages put the whole text there."""


class Library(Frozen):
    """An installed library."""

    name: str
    version: str
    licence: str


def libraries() -> tuple[Library, ...]:
    """What is installed of what clinic_mm uses, itself first."""
    names = dict.fromkeys((OWN, *CORE, *MORE, *(extra.distribution for extra in EXTRAS)))
    return tuple(one for name in names if (one := _library(name)))


def made_by(info: RunInfo, spec: JobSpec | None, store: str) -> dict[str, str]:
    """What made the run, and the versions of what is stored.

    Args:
        info: What run.json says.
        spec: The job, None for a run of a version that kept none.
        store: Version of the store's tables.
    """
    facts = {
        "Program here": __version__,
        "Program of the run": spec.settings.program if spec else "not kept",
        "Model": f"{info.model.name} {info.model.version}".strip(),
        "Model hash": info.model.hash,
        "Settings hash": spec.settings.hash if spec else "not kept",
        "Schema of the run": info.schema_version,
        "Schema here": SCHEMA_VERSION,
        "Ledger": str(LEDGER),
        "Store": store or "not known",
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    if spec:
        facts["Device, precision"] = f"{spec.settings.device}, {spec.settings.precision}"
        facts["Run began"] = f"{spec.created_at:%Y-%m-%d %H:%M} UTC"
    return facts


def _library(name: str) -> Library | None:
    try:
        told = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    return Library(name=name, version=metadata.version(name), licence=_licence(told))


def _licence(told: "metadata.PackageMetadata") -> str:
    """An SPDX expression, else a classifier, else the first line of what the package says."""
    if "License-Expression" in told:
        return told["License-Expression"]
    classed = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier") or () if one.startswith("License ::")]
    said = str(told.json.get("license") or "").strip().splitlines()
    first = [line for line in said[:1] if 0 < len(line) <= LONGEST]
    return "; ".join(classed or first) or NOT_SAID
