"""Options and arguments that several commands share, so that each is explained in one way."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, for machines.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that read and prepare.")]
Key = Annotated[Path | None, typer.Option(help="File of the pseudonym key; default in your configuration folder.")]
Paths = list[Path] | None
CtPaths = Annotated[Paths, typer.Option("--ct", metavar="PATH", help="DICOM folder or files, or NIfTI.")]
XrayPaths = Annotated[Paths, typer.Option("--xray", metavar="PATH", help="DICOM, PNG or JPEG.")]
EegPaths = Annotated[
    Paths, typer.Option("--eeg", metavar="PATH", help="EDF, BDF, BrainVision, EEGLAB, FIF, Nihon Kohden.")
]
RecordPaths = Annotated[Paths, typer.Option("--record", metavar="PATH", help="FHIR bundle or NDJSON.")]
NotePaths = Annotated[Paths, typer.Option("--note", metavar="PATH", help="Text file, or FHIR with DocumentReference.")]
OtherPaths = Annotated[
    list[str] | None, typer.Option("--evidence", metavar="NAME=PATH", help="Any other modality of the task.")
]
CacheDir = Annotated[
    Path | None, typer.Option("--cache", help="Folder that keeps prepared evidence for the next command.")
]
CacheGb = Annotated[float, typer.Option(min=0.01, help="Most that the cache takes on disk, in GB (10^9 bytes).")]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Also what a network rests on inside record and note; heads are always explained."),
]
Verify = Annotated[bool, typer.Option("--verify", help="Read every byte again: nothing changed since ingest is used.")]
Device = Annotated[str | None, typer.Option(help="Where networks run: cpu (OpenVINO) or cuda (PyTorch on a GPU).")]
Precision = Annotated[
    str | None, typer.Option(help="Of networks: float32, or bfloat16 where a check shows that no decision moves.")
]
Hours = Annotated[
    str | None, typer.Option(metavar="FROM-TO", help="Begin work only then, by the site's clock: 20:00-06:00.")
]
PauseAbove = Annotated[
    float | None, typer.Option(min=0.0, metavar="LOAD", help="Begin nothing while the machine's load is higher.")
]
MostPerHour = Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many cases an hour, evenly.")]
Level = Annotated[
    float | None, typer.Option(min=0.5, max=0.99, help="Share of patients whose prediction set is to hold the truth.")
]
