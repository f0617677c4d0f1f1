"""Which cohorts, evaluations, comparisons, watches and further runs lie where the operator says that figures may lie.

In:  an open run, folders that the operator named. Out: `Folders`: each by the name that a page shows.

A folder is what its mark says it is. Looked at are the run, the cohort that it names, what lies directly beside the run
(where that is allowed, as `clinic-mm demo` puts it), and each named folder with what lies directly in it. No link out
of them is followed, nothing deeper is looked for, and nothing is opened here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from clinic_mm.report.run import Run

Kind = Literal["cohort", "evaluation", "comparison", "monitor", "run"]
MARKS: Final[dict[Kind, tuple[str, ...]]] = {
    "cohort": ("cohort.json",),
    "evaluation": ("evaluation.json", "by_pattern.csv"),  # what `draft` writes has the first of them alone
    "comparison": ("compare.json",),
    "monitor": ("monitor.json",),
    "run": ("run.json",),
}
MOST: Final = 200
"""Folders looked at in one place: more than that is no place where figures are kept."""


@dataclass(frozen=True, slots=True)
class Folders:
    """What was found, by kind and name; the run that is served, and its cohort, stand first."""

    found: dict[Kind, dict[str, Path]] = field(default_factory=dict)

    def of(self, kind: Kind) -> dict[str, Path]:
        """Name and folder of everything of one kind."""
        return self.found.get(kind, {})


def found_folders(run: Run, named: Sequence[Path] = (), *, beside_run: bool = True) -> Folders:
    """Look.

    Args:
        run: The run that is served.
        named: Further folders: one of a kind, or one that holds such.
        beside_run: Whether what lies beside the run belongs to it.
    """
    home = run.path.resolve()
    places = [home, run.cohort_folder, *(_inside(home.parent) if beside_run else ())]
    for one in named:
        places += [one.resolve(), *_inside(one.resolve())]
    kinds: dict[Kind, list[Path]] = {kind: [] for kind in get_args(Kind)}
    for place in dict.fromkeys(places):
        for kind, marks in MARKS.items():
            if all(_lies_in(place, mark) for mark in marks):
                kinds[kind].append(place)
    return Folders({kind: dict(_named(paths)) for kind, paths in kinds.items()})


def _inside(place: Path) -> Iterator[Path]:
    """Folders directly in a folder; links are left out."""
    try:
        folders = sorted(one for one in place.iterdir() if one.is_dir() and not one.is_symlink())
    except OSError:  # the operator named one that is gone, or may not be read: nothing lies there
        return
    yield from folders[:MOST]


def _lies_in(place: Path, name: str) -> bool:
    """Whether a file of this name lies in the folder itself, and is not a link to elsewhere."""
    try:
        return (place / name).is_file() and not (place / name).is_symlink()
    except OSError:
        return False


def _named(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Each folder by its name; where several share one, by the folders above it too."""
    every = list(paths)
    for path in every:
        depth = 1
        while depth < len(path.parts) and sum(_tail(path, depth) == _tail(one, depth) for one in every) > 1:
            depth += 1
        yield _tail(path, depth), path


def _tail(path: Path, depth: int) -> str:
    return "/".join(path.parts[-depth:])
