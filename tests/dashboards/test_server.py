"""The served room, from outside: crawled as nobody and as every role; two readers at once; planted identifiers."""

import http.client
import random
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from clinic_mm.bundle import policy
from clinic_mm.report.model_card.kept import CARD_PAGE, CARD_TEXT
from clinic_mm.report.run import open_run
from clinic_mm.store.values import ROLES
from tests.serving import Address, a_session, serving
from tests.signed_in import signed_in
from tests.wire import reading

TABLE = policy("roles")
CARD = "<p>the whole card</p>"
MEDIA = re.compile(rb"/media/[0-9a-f]{32,64}\.\w+")
ASSET = re.compile(r'(?:src|href)="\./([^"]+)"')
REFUSED = {401, 403, 404}


@pytest.fixture(scope="module")
def served(made_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """The run with a model card beside it: its download is served by Streamlit's own media address."""
    base = tmp_path_factory.mktemp("server")
    run = shutil.copytree(made_run, made_run.parent / "run_with_card")
    (run / CARD_TEXT).write_text(f"# Card\n\nModel {open_run(run).info.model.hash}\n", encoding="utf-8")
    (run / CARD_PAGE).write_text(CARD, encoding="utf-8")
    with serving(run, base / "room", base / "log") as address:
        yield address


@pytest.fixture(scope="module")
def case_key(made_run: Path) -> str:
    return next(key for key in open_run(made_run).worklist()["case_key"] if key != "stranger")


def get(address: Address, path: str, token: str = "", **headers: str) -> tuple[int, bytes, http.client.HTTPMessage]:
    """One request, as a browser of this person would send it."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)
    cookie = {"Cookie": f"{address.cookie_name}={token}"} if token else {}
    connection.request("GET", path, headers={"Accept": "text/html", **cookie, **headers})
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.headers
    connection.close()
    return found


@pytest.fixture(scope="module")
def routes_of_cases(case_key: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every route of ours, with a real case in it, and the act that it asks for."""
    home = tmp_path_factory.mktemp("routes") / "room"
    with pytest.MonkeyPatch.context() as monkeypatch, signed_in(monkeypatch, home):
        from guard.guarded import MARK
        from routes import gathered

        found = {route.path.replace("{case_key}", case_key): getattr(route.endpoint, MARK) for route in gathered()}
    return {re.sub(r"\{\w+:int\}", "0", path): act for path, act in found.items()}


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "0", path)


def test_a_crawl_as_nobody_is_refused_everywhere(
    served: Address, case_key: str, routes_of_cases: dict[str, str]
) -> None:
    status, index, _ = get(served, "/", served.token)
    assert status == 200
    with reading(served, served.token) as page:
        media = {found.decode() for found in MEDIA.findall(page.asks("about") + page.asks("case", f"case={case_key}"))}
    paths = {
        "/", *(f"/{page}" for page in TABLE["pages"]), *(f"/{one}" for one in ASSET.findall(index.decode())), *media,
        *(filled(path) for path in routes_of_cases), "/_stcore/health", "/_stcore/host-config", "/_stcore/metrics",
        "/_stcore/agent/openapi.json", "/_stcore/upload_file/x/y", "/component/x/y", "/_stcore/bidi-components/x/y",
        f"/case?case={case_key}", "/session", "/index.html", "/static/../index.html", "/%2e%2e/%2e%2e/etc/passwd",
    }  # fmt: skip
    assert len(media) == 1
    assert len(paths) > 40
    for path in sorted(paths):
        for token in ("", "x" * 43):
            status, body, headers = get(served, path, token)
            assert status == 401, path
            assert case_key.encode() not in body.replace(f"case={case_key}".encode(), b"")
            assert headers["Cache-Control"] == "private, no-store"
            assert "server" not in headers
    with pytest.raises(InvalidStatus), reading(served, "x" * 43):
        pass


@pytest.mark.parametrize("role", ROLES)
def test_a_crawl_as_every_role_finds_its_own_and_nothing_else(
    served: Address, role: str, case_key: str, routes_of_cases: dict[str, str]
) -> None:
    token = a_session(served.home, f"only-{role}", [role])
    seen = {path for path, row in TABLE["pages"].items() if role in TABLE["acts"][row["act"]]["roles"]}
    home = next(path for path in TABLE["pages"] if path in seen)
    for path in TABLE["pages"]:
        assert get(served, f"/{path}", token)[0] == (303 if path == home else 200 if path in seen else 403), path
    clinical = role in TABLE["acts"]["see_evidence"]["roles"]
    for path, act in routes_of_cases.items():
        status = get(served, filled(path), token)[0]
        assert (status == 403) == (role not in TABLE["acts"][act]["roles"]), (path, status)
    with reading(served, token) as page:
        for path, row in TABLE["pages"].items():
            sent = page.asks("" if path == home else path, f"case={case_key}")
            views = {found.decode() for found in re.findall(rb"views/(\w+)\.py", sent)}
            assert views <= {TABLE["pages"][one]["view"].removesuffix(".py") for one in seen}
            if not clinical:
                assert case_key.encode() not in sent.replace(f"case={case_key}".encode(), b""), row


def test_media_is_served_to_him_whom_a_page_showed_it_and_to_nobody_else(served: Address) -> None:
    tokens = [a_session(served.home, f"media-{at}", ROLES) for at in range(2)]
    with reading(served, tokens[0]) as page:
        path = next(found.decode() for found in MEDIA.findall(page.asks("about")))
        assert get(served, path, tokens[0])[:2] == (200, CARD.encode())
        assert get(served, path, tokens[1])[0] == 403
        with reading(served, tokens[1]) as other:
            other.asks("about")
            assert get(served, path, tokens[1])[0] == 200


def two_readers(served: Address, made_run: Path, actions: int) -> int:
    """Two people take turns on one server; returns how many bytes of the other each was sent."""
    rng = random.Random(7)
    keys = list(open_run(made_run).worklist()["case_key"])
    names = ["first-" + secrets.token_hex(8), "second-" + secrets.token_hex(8)]
    tokens = [a_session(served.home, name, ["reader", "viewer"]) for name in names]
    held: list[set[str]] = [set(), set()]
    foreign = 0
    with reading(served, tokens[0]) as one, reading(served, tokens[1]) as two:
        for at in range(actions):
            me = at % 2
            page = rng.choice(["", "case", "about", "glass"])
            typed = f"case={rng.choice(keys)}&mark={names[me]}"
            sent = (one, two)[me].asks(page, typed)
            assert names[me].encode() in sent.replace(b"\\", b"")
            foreign += sent.replace(b"\\", b"").count(names[1 - me].encode()) * len(names[1 - me])
            held[me] |= {found.decode() for found in MEDIA.findall(sent)}
            for path in held[1 - me] - held[me]:
                status, body, _ = get(served, path, tokens[me])
                foreign += len(body) if status not in REFUSED else 0
    return foreign


def test_two_readers_at_once_get_nothing_of_each_other(served: Address, made_run: Path) -> None:
    assert two_readers(served, made_run, 12) == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_readers_with_two_hundred_actions_each_get_nothing_of_each_other(served: Address, made_run: Path) -> None:
    assert two_readers(served, made_run, 400) == 0


def test_planted_identifiers_reach_no_log_no_address_and_no_title(served: Address, case_key: str) -> None:
    planted = [f"DOE{number:02d}^JANE{secrets.token_hex(4)}" for number in range(50)]
    token = a_session(served.home, "a reader", ["reader"])
    with reading(served, token) as page:
        for at, name in enumerate(planted):
            typed = quote(name)
            places = [
                f"/case?case={typed}", f"/{typed}", f"/v1/case/{typed}/ct/{typed}/header", f"/media/{typed}.png",
                f"/static/{typed}", f"/v1/case/{case_key}/ct/{typed}/header",
            ]  # fmt: skip
            _, body, headers = get(
                served, places[at % len(places)], token, Referer=f"{served}/{typed}", **{"X-Name": typed}
            )
            assert name not in str(headers)
            title = re.search(rb"<title>(.*?)</title>", body)
            assert title is None or title[1] in {b"Streamlit", b"clinic_mm"}
            if at % 10 == 0:
                page.asks("case", f"case={typed}&patient={typed}")
    log = (served.home.parent / "log").read_text(encoding="utf-8", errors="replace")
    assert log.count("clinic_mm.access") > 50
    assert not [name for name in planted if name in log or quote(name) in log or name.split("^")[1] in log]


def test_the_log_names_people_by_opaque_ids_alone(served: Address) -> None:
    log = (served.home.parent / "log").read_text(encoding="utf-8", errors="replace")
    assert "test person" not in log.lower()
    assert served.token not in log
