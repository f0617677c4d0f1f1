"""Write what the fuzz gate saw into docs/robustness.md: every figure is measured by this command, none is typed.

    python -m tests.fuzz.report --page docs/robustness.md [--long] [--seed 2] [--only "Damaged files"]

In:  the gates of tests/fuzz, and the real hard files where they are (CLINIC_MM_DATA). Out: one section for each.
Ends with 1 where a gate does not hold. With `--long` the numbers are those of `make test-long`.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from benchmarks.section import machine, write_section
from tests.conftest import DATA
from tests.fuzz.gate import MOST_MB, SLOWEST_S, apart


class Part(NamedTuple):
    """One gate: what it damages, its module, and how many files in `make test` and in `make test-long`."""

    what: str
    module: str
    short: int
    long: int


PARTS: Final = (
    Part("DICOM", "tests.fuzz.test_dicom", 500, 10_000),
    Part("DICOM, real files", "tests.fuzz.test_dicom_real", 100, 3000),
    Part("compressed frames, per decoder", "tests.fuzz.test_frames", 100, 3000),
    Part("EDF and BDF", "tests.fuzz.test_edf", 200, 3000),
    Part("FHIR", "tests.fuzz.test_fhir", 100, 2000),
)
HEAD: Final = "| damaged | files | refused | read as before | read and flagged | changed quietly | other exceptions | "
LONGEST_S: Final = 3500.0
Said = tuple[str, bool]
"""A section of the page, and whether its gate holds."""


def fuzz(long: bool, seed: int) -> Said:
    """All gates of damaged files."""
    lines = [f"{HEAD}slowest | most memory |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    details, holds = [], True
    for part in PARTS:
        if part.module.endswith("_real") and not DATA.is_dir():
            continue
        if find_spec(part.module) is None:
            lines.append(f"| {part.what} | not measured: {part.module} is not there | | | | | | | |")
            holds = False
            continue
        _say(f"{part.what} ...")
        result = apart(part.module, part.long if long else part.short, seed, seconds=LONGEST_S)
        if "died" in result:
            lines.append(f"| {part.what} | the process died | | | | | | | |")
            holds = False
            _say(result["died"])
            continue
        lines.append(_line(part.what, result))
        holds = holds and _held(result, import_module(part.module).UNNOTICEABLE)
        details.append(_detail(part.what, result))
        details += [_decoders(result["by_decoder"])] if "by_decoder" in result else []
    return "\n".join([*lines, "", *details]), holds


def _held(result: dict[str, Any], quiet: frozenset[str]) -> bool:
    quick = result["slowest_s"] < SLOWEST_S and result["peak_mb"] < MOST_MB
    return quick and not result["raw"] and set(result["quiet"]) <= quiet


def _line(what: str, result: dict[str, Any]) -> str:
    counts = [sum(result[name].values()) for name in ("refused", "flagged", "quiet")]
    cells = [result["mutated"], counts[0], result["equal"], *counts[1:], len(result["raw"])]
    plain = " | ".join(f"{cell:,}" for cell in cells)
    return f"| {what} | {plain} | {result['slowest_s']:.2f} s | {result['peak_mb']:.0f} MB |"


def _detail(what: str, result: dict[str, Any]) -> str:
    names = (("refused", "Refused"), ("flagged", "Flagged"), ("quiet", "Changed quietly, as no reader could notice"))
    lines = [f"### {what}", "", f"{result['mutated']:,} files in {result['seconds']:.0f} s."]
    for name, told in names:
        if counts := result[name]:
            lines += ["", f"{told}: " + ", ".join(f"{_code(why)} {count:,}" for why, count in counts.items()) + "."]
    return "\n".join([*lines, ""])


def _code(why: str) -> str:
    return f"`{why}`" if " " not in why else f"{why}:"


def _decoders(results: dict[str, dict[str, Any]]) -> str:
    rows = [f"{HEAD}slowest | most memory |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    return "\n".join([*rows, *(_line(name, result) for name, result in results.items()), ""])


def bombs(long: bool, seed: int) -> Said:
    """Bombs, depths, ways out and devices."""
    del long
    from tests.fuzz.test_bombs import SLOWEST_S as SECOND

    result = apart("tests.fuzz.test_bombs", 1, seed)
    rows = [f"| {name} | `{code}` | {seconds:.2f} s |" for name, (seconds, code) in result["rows"].items()]
    held = not result["raw"] and all(code and seconds < SECOND for seconds, code in result["rows"].values())
    text = f"Most memory of all: {result['peak_mb']:.0f} MB. Nothing was written outside of the cohort folder."
    return "\n".join(["| what | refused with | after |", "|---|---|---:|", *rows, "", text]), held


def tokens(long: bool, seed: int) -> Said:
    """Planted identifying tokens in what is said, logged and kept."""
    from tests.fuzz.test_tokens import run

    result = run(400 if long else 40, seed)
    text = (
        f"{result['planted']:,} different tokens (names, ids, days of birth) in DICOM, EDF, FHIR, texts, file and "
        f"folder names; {result['hurt']} of the files damaged. {len(result['exit_codes'])} commands "
        f"({', '.join(result['exit_codes'])}) with every library's log at DEBUG, and all files of the run: "
        f"**{len(result['leaks'])} tokens** in {result['looked_through_bytes']:,} bytes."
    )
    return text, not result["leaks"]


def deidentified(long: bool, seed: int) -> Said:
    """Planted identifying tokens in the output of `clinic-mm deidentify`."""
    from tests.deid.planted import run

    result = run(10_000 if long else 1000, seed)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in result["by_format"].items())
    text = (
        f"{result['planted']:,} tokens planted in DICOM, EDF, FHIR and notes ({kinds}): **{len(result['found'])}** in "
        "the bytes that `clinic-mm deidentify` wrote, in its record, and in what it said or logged."
    )
    return text, not result["found"]


def hard_files(long: bool, seed: int) -> Said:
    """The 161 hard files, row by row."""
    del long, seed
    from tests.fuzz.hard_files import judged

    with TemporaryDirectory() as folder:
        rows = judged(DATA, Path(folder))
    merged: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        name = f"{row.name.rpartition('/')[0]}/*" if row.name.startswith(("series/", "ct_geometry/")) else row.name
        folder_said = row.folder if name == row.name else ""
        merged[name, _asked(row.expected), folder_said, row.met, "yes" if row.agrees else "**no**"] += 1
    agree = sum(row.agrees for row in rows)
    lines = [
        f"{agree} of {len(rows)} rows agree. *In the folder*: what `clinic-mm ingest` makes of the file where it lies, "
        "beside all others. *Where it hurts*: the same for a source of its own; a CT slice lies among four good "
        "sisters (after a semicolon: in a series of five like it), since a lone slice is refused whatever else is "
        "wrong with it. Codes are refusals; *read* may be followed by flags that a good file has not.",
        "",
        "| file | asked for | in the folder | where it hurts | agrees |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name}{f' ({n} files)' if n > 1 else ''} | {asked} | {here} | {met} | {agrees} |"
        for (name, asked, here, met, agrees), n in merged.items()
    ]
    return "\n".join(lines), agree == len(rows)


def _asked(expected: str) -> str:
    return "read or reject, never crash or change" if expected.startswith("read, or reject with a code") else expected


SECTIONS: Final[dict[str, Callable[[bool, int], Said]]] = {
    "Damaged files": fuzz,
    "Bombs, depths, ways out, devices": bombs,
    "Planted identifying tokens": tokens,
    "Planted tokens, de-identified": deidentified,
    "Hard files, row by row": hard_files,
}


def main(words: Iterable[str] | None = None) -> int:
    """Measure, write the page, and say whether all gates hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.report")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--long", action="store_true", help="the numbers of make test-long")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--only", choices=sorted(SECTIONS))
    given = parser.parse_args(words if words is None else list(words))
    holds = True
    if given.page and not given.only:  # all sections anew, in their order
        given.page.write_text(given.page.read_text(encoding="utf-8").split("\n## ")[0] + "\n", encoding="utf-8")
    for title, measure in SECTIONS.items():
        if given.only not in {None, title} or (measure is hard_files and not DATA.is_dir()):
            continue
        began = time.monotonic()
        body, held = measure(given.long, given.seed)
        holds = holds and held
        command = f'python -m tests.fuzz.report --only "{title}"{" --long" if given.long else ""} --seed {given.seed}'
        told = f"`{command}`, {machine()}, {time.monotonic() - began:.0f} s. The gate {'holds' if held else 'fails'}."
        _say(f"{title}: {'holds' if held else 'FAILS'}\n{body}\n")
        if given.page:
            write_section(given.page, title, f"{told}\n\n{body}")
    return 0 if holds else 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
