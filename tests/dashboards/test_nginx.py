"""docs/operations/nginx-dashboard.conf: nginx takes it, and the room works behind it, with a person on one process."""

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from clinic_mm.store.values import ROLES
from tests.nginx import MISSING, NGINX, configured, fronted
from tests.serving import Address, a_session, serving
from tests.wire import reading

pytestmark = pytest.mark.skipif(not Path(NGINX).is_file(), reason=MISSING)


def test_nginx_takes_the_file(tmp_path: Path) -> None:
    conf = configured(tmp_path, 18_443, ["127.0.0.1:18501", "127.0.0.1:18502"])
    done = subprocess.run([NGINX, "-t", "-c", str(conf)], capture_output=True, text=True)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_room_works_behind_it_and_a_person_stays_with_one_process(made_run: Path, tmp_path: Path) -> None:
    home = tmp_path / "room"
    with ExitStack() as stack:
        rooms = [stack.enter_context(serving(made_run, home, tmp_path / f"log{at}")) for at in range(2)]
        front = Address(stack.enter_context(fronted(tmp_path, rooms)))
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
