"""Commands about the audit of a store: verify it, and name its newest link to be kept elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from clinic_mm.commands.options import Json

StoreUrl = Annotated[str, typer.Argument(metavar="STORE", help="SQLite file, or postgresql://USER@HOST/NAME.")]
HeadsFolder = Annotated[
    Path | None, typer.Option(help="Folder of the signed heads and their key; heads/ beside an SQLite file.")
]


def audit_verify(
    store: StoreUrl,
    heads: HeadsFolder = None,
    expect: Annotated[
        str, typer.Option(metavar="NUMBER:HASH", help="A link that you kept elsewhere: it must be there, and the same.")
    ] = "",
    json: Json = False,
) -> None:
    """Find every link that was changed, removed, moved or added, and every act that is not as it was written.

    Nothing is written. Exit code 6 where anything was found.

    Example:  clinic-mm audit verify room/store.sqlite
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.jobs.audit import FOUND, in_words, verify_audit

    found = verify_audit(store, heads, expect)
    if json:
        show_json(found.model_dump(mode="json"))
    else:
        show(in_words(found))
    raise typer.Exit(0 if found.whole else FOUND)


def audit_heads(store: StoreUrl, heads: HeadsFolder = None, json: Json = False) -> None:
    """Name the newest link as NUMBER:HASH. Kept elsewhere, it holds even who may write all of this machine.

    Example:  clinic-mm audit heads room/store.sqlite
    """
    from clinic_mm.console import show, show_json
    from clinic_mm.jobs.audit import newest_link

    head = newest_link(store, heads)
    if json:
        show_json({"number": head.number, "hash": head.hash})
    else:
        show(f"{head.number}:{head.hash}")
