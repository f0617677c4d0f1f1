"""Verify the audit in a process of its own and in bounded time, and keep when that was last done and what was found.

In:  the address of a store, its folder of heads, the home of the room. Out: HOME/verified.json: `Kept`.

A process of its own, since a long chain takes minutes of one core, which readers of the same server would wait for. The
address goes by its standard input: it may hold a password, which a command line would show to everybody.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, ValidationError

from clinic_mm.errors import ArtifactError, ClinicError, UsageError
from clinic_mm.jobs.audit import verify_audit
from clinic_mm.report.atomic import written_whole
from clinic_mm.store.verify import Finding, Verified
from clinic_mm.types import Frozen

FILE: Final = "verified.json"
MOST_KEPT: Final = 50
TOLD: Final = 3
"""Exit code of the process where it said why it could not."""
ON_A_TERMINAL: Final = "Verify it on a terminal, where it may take its time: clinic-mm audit verify STORE"


class Kept(Frozen):
    """The last time that the audit was verified: what was found, of how many links; the newest link as it then was."""

    at: AwareDatetime
    seconds: float
    links: int
    heads: int
    newest: str
    found: int
    findings: tuple[Finding, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return self.found == 0


def verify_within(store: str, heads: Path, home: Path, seconds: float) -> Kept:
    """Verify the audit of a store, and keep what was found.

    Args:
        store: Its SQLite file or URL.
        heads: Folder of its heads.
        home: Of the room.
        seconds: After which it is given up.

    Raises:
        UsageError: If it takes longer.
        ArtifactError: If it could not be verified.
        OSError: If it cannot be kept.
    """
    began = datetime.now(UTC)
    command = [sys.executable, "-m", "clinic_mm.jobs.operating.verified"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, input=json.dumps([store, str(heads)]), capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"The audit is not verified within {seconds:g} s", "audit", ON_A_TERMINAL) from None
    if done.returncode:
        what = done.stderr.strip().splitlines()[-1:] if done.returncode == TOLD else []
        raise ArtifactError((what or ["The audit could not be verified"])[0], "audit", ON_A_TERMINAL)
    found = Verified.model_validate_json(done.stdout)
    kept = Kept(
        at=began,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        links=found.links,
        heads=found.heads,
        newest=f"{found.number}:{found.hash}",
        found=len(found.findings),
        findings=found.findings[:MOST_KEPT],
    )
    written_whole(home / FILE, kept.model_dump_json().encode())
    return kept


def last_verified(home: Path) -> Kept | None:
    """What was kept; None where nothing was, or it cannot be read."""
    try:
        return Kept.model_validate_json((home / FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def main() -> int:
    """In the process of its own: the address on standard input, what was found on standard output."""
    store, heads = json.loads(sys.stdin.read())
    try:
        found = verify_audit(store, Path(heads))
    except ClinicError as error:
        sys.stderr.write(error.what + "\n")
        return TOLD
    sys.stdout.write(found.model_dump_json())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
