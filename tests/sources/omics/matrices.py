"""One small matrix, written in every form that hospitals and cores hand over."""

from pathlib import Path

import numpy as np
import pandas as pd

SAMPLES = [f"S{n}" for n in range(6)]
GENES = [f"ENSG{n:011d}" for n in range(40)]


def counts(seed: int = 0) -> pd.DataFrame:
    """Samples in rows."""
    values = np.random.default_rng(seed).poisson(200, (len(SAMPLES), len(GENES)))
    return pd.DataFrame(values, SAMPLES, GENES)


def written(folder: Path, form: str) -> tuple[Path, dict[str, object]]:
    """The matrix as a file, and the options of its source."""
    frame, across, down = counts(), {"layout": "samples_in_rows"}, {"layout": "samples_in_columns"}
    path = folder / f"matrix{SUFFIX[form]}"
    if form in {"csv rows", "csv.gz rows"}:
        frame.to_csv(path, index_label="sample")
        return path, across
    if form == "R":  # write.table(counts, quote = TRUE, sep = "\t"): no name for the row names
        lines = ["\t".join(f'"{s}"' for s in SAMPLES)]
        lines += ["\t".join([f'"{gene}"', *map(str, frame[gene])]) for gene in GENES]
        path.write_text("\n".join(lines), encoding="utf-8")
        return path, down
    if form == "STAR":  # versions, a column of names, rows that are no genes, Windows line ends, a byte order mark
        table = frame.T.set_axis([f"{gene}.7" for gene in GENES])
        table.insert(0, "gene_name", "x")
        table.loc["N_unmapped"] = ["", *[10**6] * len(SAMPLES)]
        table.loc["__no_feature"] = ["", *[10**5] * len(SAMPLES)]
        path.write_bytes(table.to_csv(sep="\t", index_label="gene_id", lineterminator="\r\n").encode("utf-8-sig"))
        return path, {**down, "ignore": ["gene_name"]}
    if form == "parquet columns":
        frame.T.rename_axis("gene").reset_index().to_parquet(path, index=False)
        return path, down
    frame.to_parquet(path)  # pandas keeps the index as the last column
    return path, across


SUFFIX = {
    "csv rows": ".csv",
    "csv.gz rows": ".csv.gz",
    "R": ".tsv",
    "STAR": ".tsv",
    "parquet columns": ".parquet",
    "parquet index": ".parquet",
}
