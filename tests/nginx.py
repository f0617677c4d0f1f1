"""nginx before several servers on loopback, as docs/operations/nginx-dashboard.conf has it, without https."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

CONF = Path(__file__).resolve().parents[1] / "docs" / "operations" / "nginx-dashboard.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
MISSING = "no nginx: apt-get install nginx-light"
STARTS_WITHIN_S = 30


def configured(base: Path, port: int, servers: Sequence[str]) -> Path:
    """The file of the docs on a free port, without certificates, before these servers (`127.0.0.1:8501`)."""
    text = re.sub(r"^\s*ssl_.*$", "", CONF.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace("__Host-", "")
    listed = "".join(f"server {one};\n" for one in servers)
    text = re.sub(r"(?:\s*server 127\.0\.0\.1:\d+;)+", "\n" + listed, text)
    paths = "".join(
        f"{name}_temp_path {base}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    own = f"daemon off;\nuser root;\npid {base}/pid;\nerror_log {base}/error.log;\nevents {{}}\n"
    (base / "nginx.conf").write_text(f"{own}http {{\n{paths}{text}\n}}\n", encoding="utf-8")
    return base / "nginx.conf"


@contextmanager
def fronted(base: Path, servers: Sequence[str]) -> Iterator[str]:
    """Its address (`http://127.0.0.1:PORT`), until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    conf = configured(base, port, [one.removeprefix("http://") for one in servers])
    nginx = subprocess.Popen([NGINX, "-c", str(conf)])  # noqa: S603 - ours
    try:
        _wait(port, nginx)
        yield f"http://127.0.0.1:{port}"
    finally:
        nginx.terminate()
        nginx.wait(30)


def _wait(port: int, nginx: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        assert nginx.poll() is None, "nginx did not start"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    message = f"nginx did not start within {STARTS_WITHIN_S} s"
    raise AssertionError(message)
