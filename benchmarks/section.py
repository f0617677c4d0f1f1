"""Put one benchmark's figures into its own section of a page that several benchmarks share."""

import platform
from os import cpu_count
from pathlib import Path


def write_section(page: Path, title: str, body: str) -> None:
    """Replace the section `## title` of a Markdown page, or add it at the end; all other sections stay.

    Args:
        page: The page; made where it is not there yet.
        title: Of the section, without the hashes.
        body: Markdown below the title.
    """
    text = page.read_text(encoding="utf-8") if page.is_file() else f"# {page.stem.capitalize()}\n"
    head, *sections = f"\n{text}".split("\n## ")
    kept = {name.partition("\n")[0]: name.partition("\n")[2].strip("\n") for name in sections}
    kept[title] = body.strip("\n")
    parts = [head.strip("\n"), *(f"## {name}\n\n{one}" for name, one in kept.items())]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def machine() -> str:
    """What the figures were measured on, as far as a reader needs it."""
    return f"{cpu_count()} cores ({platform.machine()})"
