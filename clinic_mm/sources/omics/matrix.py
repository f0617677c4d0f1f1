"""Open a matrix of samples and features: laid out sample by sample in a temporary file, and checked as a whole.

In:  a table and what its source declares of it. Out: a `Matrix`: names, and the values of any one sample.

The table is run through once per process, in the memory of one block; afterwards a sample costs the reading of its own
values. The temporary file (4 bytes a cell) has no name and is gone with the process.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray as Array

from clinic_mm.errors import EvidenceError
from clinic_mm.signals import Peers
from clinic_mm.sources.contents import stamp
from clinic_mm.sources.omics.declared import Declared, omics_policy, scales
from clinic_mm.sources.omics.lines import BLOCK_VALUES, Lines, open_lines
from clinic_mm.sources.omics.scales import comparable

SHEET_ID: Final = "feature"
VERSION: Final = "."
"""An Ensembl id is the same with and without its version, which follows a point."""
SEE: Final = "See Omics in docs/formats.md"


@dataclass(frozen=True, slots=True, eq=False)
class Matrix(Peers):
    """A matrix, sample by sample.

    Attributes:
        samples: Ids of the samples.
        features: Ids of the features, versions of Ensembl ids taken off.
        values: [sample, feature] in a temporary file.
        dates: How many features bear the name of a date.
        fractional: Whether counts have fractions.
    """

    samples: tuple[str, ...]
    features: tuple[str, ...]
    scale: str
    ids: str
    values: Float32[Array, "sample feature"]
    dates: int = 0
    fractional: bool = False
    _typical: list[tuple[Array, Array]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Samples."""
        return len(self.samples)

    def typical(self) -> tuple[Float32[Array, " feature"], Float32[Array, " feature"]]:
        """Mean and standard deviation of each feature over all samples, on the scale of `comparable`; once."""
        if not self._typical:
            n, total, squares = (np.zeros(len(self.features)) for _ in range(3))
            for row in self.values:
                x = comparable(row, self.scale).astype(np.float64)
                known = np.isfinite(x)
                n += known
                total += np.where(known, x, 0.0)
                squares += np.where(known, x, 0.0) ** 2
            mean = total / np.maximum(n, 1)
            spread = np.sqrt(np.maximum(squares / np.maximum(n, 1) - mean**2, 0.0))
            self._typical.append((mean.astype(np.float32), spread.astype(np.float32)))
        return self._typical[0]


def open_matrix(path: Path, told: Declared | None) -> Matrix:
    """The matrix of a file; the last few stay open, as long as the file is what it was.

    Args:
        path: The table.
        told: What its source declares; None for a sheet that says so itself: columns `feature` and a scale.

    Raises:
        EvidenceError: Code and reason why it cannot be used.
    """
    return _opened(path, stamp([path]).digest, told)


@lru_cache(maxsize=4)
def _opened(path: Path, digest: str, told: Declared | None) -> Matrix:
    del digest
    lines = open_lines(path, told.ignore if told else ())
    if told is None or told.layout == "sheet":
        told = _sheet(lines, told)
    across = told.layout == "samples_in_rows"
    names, values = _laid_out(lines)
    samples, features = (names, list(lines.columns)) if across else (list(lines.columns), names)
    kept = [at for at, name in enumerate(features) if not omics_policy().not_features.fullmatch(name)]
    values = _chosen(values, None if len(kept) == len(features) else kept, across)
    features = [features[at] for at in kept]
    if told.ids == "ensembl":
        features = [name.partition(VERSION)[0] + ("_PAR_Y" if name.endswith("_PAR_Y") else "") for name in features]
    _check_names(samples, features, told)
    fractional = _check_values(values, told)
    dates = sum(bool(omics_policy().date.fullmatch(name)) for name in features)
    return Matrix(tuple(samples), tuple(features), told.scale, told.ids, values, dates, fractional)


def _sheet(lines: Lines, told: Declared | None) -> Declared:
    """What the header of a sheet says: it must be `feature` and the name of a scale."""
    if len(lines.columns) != 1 or lines.columns[0] not in scales():
        what = "Nothing says which way this table lies and what its values are"
        mend = f"Give two columns, {SHEET_ID} and one of {', '.join(scales())}; or say so under options of the source"
        raise EvidenceError("omics.undeclared", what, "", mend)
    scale = lines.columns[0]
    if told is not None and told.scale != scale:
        what, mend = f"The sheet says {scale}, its source says {told.scale}", "Correct one of them"
        raise EvidenceError("omics.undeclared", what, "", mend)
    return Declared(layout="samples_in_columns", scale=scale, ids=told.ids if told else "other")


def _laid_out(lines: Lines) -> tuple[list[str], Float32[Array, "line column"]]:
    """Ids and values of all lines, the values mapped to a temporary file."""
    names: list[str] = []
    width = len(lines.columns)
    with tempfile.TemporaryFile() as spool:  # the map keeps it until it is gone itself
        for block in lines.blocks:
            names += block.ids
            if len(names) * width > omics_policy().values:
                raise EvidenceError("omics.too_large", "The matrix is too large to be read", "", "Cut it into parts")
            spool.write(np.ascontiguousarray(block.values, np.float32).tobytes())
        if not names or not width:
            raise EvidenceError("omics.empty", "The table has no samples or no features", "", SEE)
        spool.flush()
        values: Array = np.memmap(spool, np.float32, "r+", shape=(len(names), width))
    return names, values


def _chosen(values: Array, kept: Sequence[int] | None, across: bool) -> Float32[Array, "sample feature"]:
    """Values sample by sample, of some features; a matrix that lay the other way is turned block by block."""
    if across and kept is None:
        return values
    rows = np.arange(values.shape[1 if across else 0]) if kept is None else np.array(kept, dtype=int)
    n = values.shape[0] if across else values.shape[1]
    if not len(rows):
        raise EvidenceError("omics.empty", "The table has no features", "", SEE)
    with tempfile.TemporaryFile() as spool:
        turned: Array = np.memmap(spool, np.float32, "w+", shape=(n, len(rows)))
    step = max(1, BLOCK_VALUES // n)
    for a in range(0, len(rows), step):
        part = rows[a : a + step]
        turned[:, a : a + len(part)] = values[:, part] if across else values[part].T
    return turned


def _check_names(samples: Sequence[str], features: Sequence[str], told: Declared) -> None:
    for what, names, code in (
        ("sample", samples, "omics.duplicate_sample"),
        ("feature", features, "omics.duplicate_feature"),
    ):
        if "" in names:
            raise EvidenceError("omics.blank_id", f"A {what} has no id", "", f"Name every {what}")
        twice = sum(count > 1 for count in Counter(names).values())
        if twice:
            mend = "Keep each once" if what == "sample" else "Name features by ids that are unique, or add them up"
            raise EvidenceError(code, f"{twice} {what}s stand twice or more", "", mend)
    policy = omics_policy()
    fit = sum(bool(policy.ids[told.ids].fullmatch(name) or policy.date.fullmatch(name)) for name in features)
    if fit < policy.ids_share * len(features):
        what = f"{len(features) - fit} of {len(features)} features have no id of the kind {told.ids}"
        mend = "Correct ids or layout under options of the source"
        raise EvidenceError("omics.other_ids", what, "", mend)


def _check_values(values: Array, told: Declared) -> bool:
    """Refuse values that cannot be of the declared scale; whether counts have fractions."""
    low, high, fractions, known = np.inf, -np.inf, 0, 0
    for row in values:
        if np.isinf(row).any():
            raise EvidenceError("omics.not_finite", "The table holds infinite values", "", "Correct the table")
        x = row[np.isfinite(row)]
        if len(x):
            low, high = min(low, float(x.min())), max(high, float(x.max()))
        fractions, known = fractions + int((x % 1 != 0).sum()), known + len(x)
    mend = "Correct the table, or scale under options of the source"
    if told.scale in {"counts", "rate"} and low < 0:
        raise EvidenceError("omics.negative", f"Values below 0 are no {scales()[told.scale]}", "", mend)
    if told.scale == "beta" and (low < 0 or high > 1):
        raise EvidenceError("omics.beta_range", "Values outside of 0 to 1 are no shares of methylation", "", mend)
    policy = omics_policy()
    if told.scale == "log" and max(abs(low), abs(high)) > policy.log and known:
        raise EvidenceError("omics.not_log", f"Values beyond {policy.log:g} are no logarithms", "", mend)
    fractional = told.scale == "counts" and fractions > policy.fractional * known
    if fractional and high <= policy.log:
        raise EvidenceError("omics.not_counts", "Small values with fractions are no counts", "", mend)
    return fractional
