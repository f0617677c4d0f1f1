"""What a source declares of its matrices: which way they lie, what the values are, whose each sample is.

In:  the `options` of a source in the ingest file, and `schemas/omics.toml`.
Out: a frozen `Declared`. Nothing here opens a file, and nothing is guessed from values.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from clinic_mm.bundle import policy
from clinic_mm.errors import TaskError
from clinic_mm.toml_file import fitted
from clinic_mm.types import Frozen

SEE_DOCS: Final = "See Omics in docs/cohort_file.md"


class SampleSheet(Frozen):
    """A table that says whose each sample is, beside the matrices.

    Attributes:
        path: Relative to the folder of the source.
        sample: Column with the sample's id, as the matrix has it.
        patient: Column with the source's patient id.
        time: Column with the moment of sampling, ISO 8601; "" where there is none.
    """

    path: str
    sample: str = "sample_id"
    patient: str = "patient_id"
    time: str = ""


class Declared(Frozen):
    """How the matrices of a source are read.

    Attributes:
        layout: `samples_in_rows`, `samples_in_columns`, or `sheet`: one file for each sample, columns `feature` and the
            name of the scale.
        scale: What the values are: `counts`, `rate`, `log` or `beta`, see `schemas/omics.toml`.
        ids: Kind of the features' ids: `ensembl`, `entrez`, `symbol`, `mirna`, `cpg`, `uniprot` or `other`.
        ignore: Columns that are neither an id nor a value (gene names beside gene ids; age beside expression).
        samples: Whose each sample is; without it the samples are named by their patients.
    """

    layout: Literal["samples_in_rows", "samples_in_columns", "sheet"]
    scale: str
    ids: str = "other"
    ignore: tuple[str, ...] = ()
    samples: SampleSheet | None = Field(default=None)

    @model_validator(mode="after")
    def _known(self) -> Self:
        for field, given, known in (("scale", self.scale, scales()), ("ids", self.ids, omics_policy().ids)):
            if given not in known:
                raise TaskError(
                    f"Unknown {field} {given!r}", f"source / options / {field}", f"Known: {', '.join(known)}"
                )
        return self


@dataclass(frozen=True, slots=True)
class OmicsPolicy:
    """`schemas/omics.toml`, ready for use. Limits are shares of the features of a sample, or counts of cells."""

    missing: frozenset[str]
    not_features: re.Pattern[str]
    ids: Mapping[str, re.Pattern[str]]
    date: re.Pattern[str]
    values: int
    line_bytes: int
    missing_flag: float
    missing_refuse: float
    ids_share: float
    log: float
    fractional: float


@cache
def omics_policy() -> OmicsPolicy:
    """The policy table, read once."""
    told = policy("omics")
    limits = told["limits"]
    return OmicsPolicy(
        missing=frozenset(told["missing"]),
        not_features=re.compile("|".join(told["not_features"])),
        ids={name: re.compile(form) for name, form in told["ids"].items()},
        date=re.compile(told["spreadsheet"]["date"], re.IGNORECASE),
        ids_share=limits.pop("ids"),
        **limits,
    )


@cache
def scales() -> Mapping[str, str]:
    """What each scale is, in words."""
    return {name: told["label"] for name, told in policy("omics")["scale"].items()}


def declared(options: Mapping[str, object]) -> Declared:
    """Check the options of a source and freeze them.

    Raises:
        TaskError: What is wrong, the field, and the mend.
    """
    return fitted(Declared, options, "source / options", SEE_DOCS)
