"""Shards of a run: Parquet files with one row per case, cheap columns beside the whole Prediction as JSON.

In:  Predictions (writing) or a shard (reading). Out: files, each whole or not there; or frames and Predictions.

Nothing here knows where shards lie or which of two is newer.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from clinic_mm.errors import ArtifactError
from clinic_mm.predict.prediction import Prediction
from clinic_mm.report.atomic import written_whole
from clinic_mm.report.run_info import checked_key

JOIN: Final = "+"
AGAIN: Final = "Run clinic-mm screen again"


def write_shard(
    predictions: Sequence[Prediction], path: Path, labels: Mapping[str, int | None] | None = None
) -> tuple[int, str]:
    """Write one Parquet shard: temp → fsync → rename.

    Args:
        predictions: At least one, all of the same classes; row order is kept.
        path: `<run>/shards/day=…/part-….parquet`.
        labels: Case key to known class index, where the cohort has one.

    Returns:
        Bytes and SHA-256 of the file: the same rows give the same.
    """
    assert predictions, "a shard without rows is never written"
    rows = [_row(prediction, (labels or {}).get(prediction.case_key)) for prediction in predictions]
    content = _bytes(pa.Table.from_pylist(rows, schema=shard_schema(len(predictions[0].classes))))
    written_whole(path, content)
    return len(content), hashlib.sha256(content).hexdigest()


def kept_rows(path: Path, case_keys: Collection[str]) -> bytes:
    """What a shard would hold with the rows of these cases alone.

    Raises:
        ArtifactError: If the shard cannot be read.
    """
    try:
        table = pq.read_table(path, partitioning=None)
        return _bytes(table.filter(pc.is_in(table["case_key"], value_set=pa.array(sorted(case_keys), pa.string()))))
    except (pa.ArrowInvalid, KeyError, OSError) as error:
        raise ArtifactError("A shard of the run cannot be read", path.name, AGAIN) from error


def _bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    return content


def shard_schema(classes: int) -> pa.Schema:
    """Columns of a shard of so many classes."""
    texts = ("case_key", "patient_key", "pattern")
    more = ("decision", "prediction_set", "missing", "flags", "abstained")
    return pa.schema(
        [
            *((name, pa.string()) for name in texts),
            ("label", pa.int64()),
            *((name, pa.string()) for name in more),
            *((f"p_{index}", pa.float64()) for index in range(classes)),
            ("prediction", pa.string()),
        ]
    )


def _row(prediction: Prediction, label: int | None) -> dict[str, object]:
    return {
        "case_key": checked_key(prediction.case_key),
        "patient_key": prediction.patient_key,
        "pattern": JOIN.join(prediction.pattern),
        "label": label,
        "decision": prediction.decision,
        "prediction_set": JOIN.join(prediction.prediction_set.classes),
        "missing": JOIN.join(f"{m.modality}:{m.status}" for m in prediction.missing),
        "flags": JOIN.join(sorted({f.flag.code for f in prediction.flags})),
        "abstained": prediction.abstained,
        **{f"p_{index}": value for index, value in enumerate(prediction.probabilities)},
        "prediction": prediction.model_dump_json(),
    }


def read_shard(shard: Path, columns: list[str], filters: list[tuple[str, str, str]] | None = None) -> pd.DataFrame:
    """Some columns of a shard, all rows or those that fit.

    Raises:
        ArtifactError: If it cannot be read, or lacks one of them.
    """
    try:
        frame: pd.DataFrame = pq.read_table(shard, columns=columns, filters=filters, partitioning=None).to_pandas()
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise ArtifactError("A shard of the run cannot be read", shard.name, AGAIN) from error
    if missing := set(columns) - set(frame.columns):
        raise ArtifactError(f"A shard lacks columns: {sorted(missing)}", shard.name, AGAIN)
    if "label" in frame:
        frame["label"] = frame["label"].astype("Int64")
    return frame


def parsed(text: str, case_key: str) -> Prediction:
    """The Prediction of a row.

    Raises:
        ArtifactError: If it is damaged.
    """
    try:
        return Prediction.model_validate_json(text)
    except ValidationError:
        raise ArtifactError("A stored Prediction is damaged", f"case {case_key}", AGAIN) from None
