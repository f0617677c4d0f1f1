"""docs/operations/nginx-dashboard.conf: nginx takes it, and the room works behind it, with a person on one process."""

import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from clinic_mm.store.values import ROLES
from tests.serving import Address, a_session, serving
from tests.wire import reading

CONF = Path(__file__).resolve().parents[2] / "docs" / "operations" / "nginx-dashboard.conf"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
pytestmark = pytest.mark.skipif(not Path(NGINX).is_file(), reason="no nginx: apt-get install nginx-light")


def configured(base: Path, port: int, servers: list[str]) -> Path:
    """The file of the docs on a free port, without certificates, before these servers."""
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


def test_nginx_takes_the_file(tmp_path: Path) -> None:
    conf = configured(tmp_path, 18_443, ["127.0.0.1:18501", "127.0.0.1:18502"])
    done = subprocess.run([NGINX, "-t", "-c", str(conf)], capture_output=True, text=True)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_room_works_behind_it_and_a_person_stays_with_one_process(made_run: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path / "room"
    with ExitStack() as stack:
        rooms = [stack.enter_context(serving(made_run, home, tmp_path / f"log{at}")) for at in range(2)]
        conf = configured(tmp_path, port, [room.removeprefix("http://") for room in rooms])
        nginx = subprocess.Popen([NGINX, "-c", str(conf)])  # noqa: S603 - ours
        stack.callback(nginx.wait, 30)
        stack.callback(nginx.terminate)
        time.sleep(2)
        front = Address(f"http://127.0.0.1:{port}")
        front.home, front.cookie_name = home, rooms[0].cookie_name
        where = []
        for at in range(6):
            token = a_session(home, f"person {at}", ROLES)
            for _ in range(2):
                with reading(front, token) as page:
                    assert f"person {at}".encode() in page.asks("about")
            opened = [(tmp_path / f"log{one}").read_text().count("WS opened") for one in range(2)]
            where.append(opened)
        steps = [
            tuple(now - before for now, before in zip(b, a, strict=True))
            for a, b in zip([[0, 0], *where], where, strict=False)
        ]
        assert set(steps) <= {(2, 0), (0, 2)}
        assert len(set(steps)) == 2
