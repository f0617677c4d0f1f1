"""What drafts are worth: on SIMULATED cases, and on real chest X-rays with their free-text histories.

Run as `python -m benchmarks.drafts --page docs/drafting.md`; real files are read in place (CLINIC_MM_DATA), no text is
kept. The simulator shares nothing but the label between modalities, so that hardly anything can be gained there.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Final

import pandas as pd
import typer

from benchmarks.section import write_section
from clinic_mm.cohort.ingest import ingest
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.cohort.public import public_key
from clinic_mm.jobs.draft import evaluate_drafter
from clinic_mm.simulate.cohort import write_cohort
from clinic_mm.task import parse_task, read_task
from clinic_mm.training.drafts import learn_drafter

DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
SPLITS: Final = (0, 1, 2)
SHOWN: Final = ("token_f1", "finding_f1", "graded_finding_f1")
FACTS: Final = (
    "age",
    "sex",
    "temperature",
    "pO2_saturation",
    "leukocyte_count",
    "neutrophil_count",
    "lymphocyte_count",
)
COHEN: Final = """
name = "chest_cohen"
undated = "accept"
[[source]]
name = "images"
path = "{table}"
timeless = true
mapping = {{ layout = "files", patient = "patientid", path = "images/{{image}}", modality = "xray" }}
[[source]]
name = "history"
path = "{table}"
timeless = true
mapping = {{ layout = "notes", patient = "patientid", text = "clinical_notes" }}
[[source]]
name = "facts"
path = "{table}"
timeless = true
[source.mapping]
layout = "wide"
patient = "patientid"
columns = {columns}
"""


def simulated(work: Path) -> pd.DataFrame:
    """1,200 SIMULATED cases with X-ray, record and note."""
    write_cohort(work / "sim", cases=1200, seed=3, rate=0.2, modalities=("xray", "record", "note"))
    cohort = ingest(work / "sim", work / "sim_cohort", key=public_key(work / "key"))
    learn_drafter(cohort, read_task(work / "sim" / "task.toml"), work / "sim_drafter", test_share=0.4)
    return evaluate_drafter(work / "sim_drafter", cohort.path, work / "sim_figures")


def chest_cohen(work: Path, data: Path) -> dict[int, pd.DataFrame]:
    """Real X-rays and measurements against histories; three splits by patient."""
    spec = work / "cohort.toml"
    columns = "{ " + ", ".join(f"{name} = {{}}" for name in FACTS) + " }"
    text = COHEN.format(table=data / "multimodal/chest_cohen/metadata.csv", columns=columns)
    spec.write_text(text, encoding="utf-8")
    cohort = open_cohort(ingest(spec, work / "cohen_cohort", key=public_key(work / "key")).path)
    tables = {}
    for seed in SPLITS:
        task = parse_task({"target": "finding", "modalities": ["xray", "record"], "select": "first", "seed": seed})
        learn_drafter(cohort, task, work / f"drafter_{seed}", test_share=0.3)
        tables[seed] = evaluate_drafter(work / f"drafter_{seed}", cohort.path, work / f"figures_{seed}")
    return tables


def body(sim: pd.DataFrame, cohen: dict[int, pd.DataFrame]) -> str:
    """Both in one Markdown table, and what it comes to."""
    runs = {f"SIMULATED, {_patients(sim)} patients": sim}
    runs |= {f"chest_cohen, split {seed}, {_patients(table)} patients": table for seed, table in cohen.items()}
    head = "| run | metric | method | figure | most frequent | gain over it | gain over drafts of others |"
    rows = [head, "|---" * 7 + "|"]
    ours = {run: _ours(table) for run, table in runs.items()}
    rows += [_row(run, row) for run, table in ours.items() for _, row in table.iterrows()]
    every = pd.concat(ours.values())
    above = {name: int((every[f"{name}_low"] > 0).sum()) for name in ("gain", "own")}
    below = {name: int((every[f"{name}_high"] < 0).sum()) for name in ("gain", "own")}
    return (
        "SIMULATED: X-ray and record → note, which share the label alone. chest_cohen: real X-rays and measurements →\n"
        "free-text history (test-only licence: figures alone). The last column holds each draft against those that\n"
        "the same method wrote of other patients: what it owes to the evidence of its own case.\n\n"
        f"Of {len(every)} comparisons with the most frequent sentences, {above['gain']} lie above and {below['gain']} "
        f"below 0 throughout their 95 % interval;\nof those with drafts of others, {above['own']} above and "
        f"{below['own']} below.\n\n" + "\n".join(rows)
    )


def _patients(table: pd.DataFrame) -> int:
    return int(table["n_patients"].iloc[0])


def _ours(table: pd.DataFrame) -> pd.DataFrame:
    """Decoder and retrieval, with the figure of the most frequent sentences beside."""
    base = table[table["method"] == "most_frequent"].set_index("metric")["estimate"]
    kept = table[table["metric"].isin(SHOWN) & (table["method"] != "most_frequent")]
    return kept.assign(base=kept["metric"].map(base))


def _row(run: str, row: pd.Series) -> str:
    figure = f"{row['estimate']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
    gains = [f"{row[x]:+.3f} ({row[f'{x}_low']:+.3f} to {row[f'{x}_high']:+.3f})" for x in ("gain", "own")]
    return f"| {run} | {row['metric']} | {row['method']} | {figure} | {row['base']:.3f} | {' | '.join(gains)} |"


def main(data: Annotated[Path, typer.Option(envvar="CLINIC_MM_DATA")] = DATA, page: Path | None = None) -> None:
    """Run both and write the section."""
    with tempfile.TemporaryDirectory() as folder:
        text = body(simulated(Path(folder)), chest_cohen(Path(folder), data))
    print(text)
    if page:
        write_section(page, "What drafts are worth", text)


if __name__ == "__main__":
    typer.run(main)
