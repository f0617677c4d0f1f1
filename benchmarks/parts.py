"""A benchmark of several parts: each is asked for by name, and written into a section of its own.

In:  the parts by name with the titles of their sections, and what makes each. Out: text on the terminal and the page.
"""

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.section import write_section

REAL: Final = "stays"
"""The part on real stays, which takes hours: only where it is asked for."""


def parser_of(doc: str | None, parts: Mapping[str, str], seeds: int) -> ArgumentParser:
    """What such a benchmark may be asked.

    Args:
        doc: Of its module.
        parts: Title of the section of each part.
        seeds: Simulated cohorts, where nothing else is said.
    """
    asked = ArgumentParser(description=doc, formatter_class=RawDescriptionHelpFormatter)
    asked.add_argument("--part", choices=parts, help="one part alone; all simulated ones where left out")
    asked.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the data sets, for stays")
    asked.add_argument("--work", type=Path, default=Path("runs/icu_mortality"), help="where the stays' cohort is kept")
    asked.add_argument("--seeds", type=int, default=seeds)
    asked.add_argument("--page", type=Path, help="page to write")
    return asked


def write_parts(given: Namespace, parts: Mapping[str, str], make: Mapping[str, Callable[[], str]]) -> None:
    """Make the asked part, or all simulated ones; print each, and write its section of the page."""
    for part in [given.part] if given.part else [name for name in parts if name != REAL]:
        body = make[part]()
        print(f"## {parts[part]}\n\n{body}\n")
        if given.page:
            write_section(given.page, parts[part], body)
