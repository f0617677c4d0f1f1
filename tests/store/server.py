"""A PostgreSQL server of our own for a test: made, started on loopback, ended by its process id, and removed."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
MISSING = "PostgreSQL is not installed: apt-get install postgresql"


@contextmanager
def postgresql() -> Iterator[str]:
    """Address of an empty database; the server refuses to run as root, so it then runs as Debian's user postgres."""
    folder = Path(tempfile.mkdtemp(prefix="store-pg-"))
    who = _who(folder)
    bin_folder, data = BINARIES[-1].parent, folder / "data"
    made = [str(bin_folder / "initdb"), "-D", str(data), "-U", "clinic", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, **who)  # type: ignore[call-overload]  # noqa: S603 - our own
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}"]
    started = [str(bin_folder / "postgres"), "-D", str(data), "-p", str(port), *plain]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(started, stdout=log, stderr=log, **who)  # type: ignore[call-overload]  # noqa: S603
    try:
        _wait(port, server, folder / "log")
        yield f"postgresql://clinic@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _who(folder: Path) -> dict[str, object]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}


def _wait(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Until it takes queries."""
    import psycopg

    for _ in range(600):
        assert server.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            psycopg.connect(f"postgresql://clinic@127.0.0.1:{port}/postgres", connect_timeout=5).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text(errors="replace")[-2000:])
