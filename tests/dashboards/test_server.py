"""The served room, from outside: crawled as nobody and as every role; two readers at once; planted identifiers."""

import http.client
import random
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from clinic_mm.bundle import policy
from clinic_mm.cohort.manifest import open_cohort
from clinic_mm.report.model_card.kept import CARD_PAGE, CARD_TEXT
from clinic_mm.report.run import open_run
from clinic_mm.store.store import open_store
from clinic_mm.store.values import ROLES
from clinic_mm.viewing.study import study_id
from tests.serving import Address, a_session, serving
from tests.signed_in import signed_in
from tests.wire import Reader, reading

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


def mark_of(place: str) -> str:
    return f"{place}-{secrets.token_hex(8)}"


def two_readers(served: Address, made_run: Path, actions: int) -> int:
    """Two people act at the same moments on one server, so often each; how many bytes of the other they were sent.

    Each has a mark of his own in his name, in what he searches, in the name of a list that he keeps, in his address.
    """
    keys = list(open_run(made_run).worklist()["case_key"])
    names = [mark_of("first"), mark_of("second")]
    tokens = [a_session(served.home, name, ["reader", "viewer"]) for name in names]
    together, held, foreign = threading.Barrier(2, timeout=600), [set[str](), set[str]()], [0, 0]

    def acts(me: int) -> None:
        rng, mine, other = random.Random(me), names[me].encode(), names[1 - me].encode()
        with reading(served, tokens[me]) as page:
            for at in range(actions):
                together.wait()
                sent = act(page, at, rng, names[me], keys).replace(b"\\", b"")
                assert mine in sent
                foreign[me] += sent.count(other) * len(other)
                held[me] |= {found.decode() for found in MEDIA.findall(sent)}
            together.wait()
            for path in held[1 - me] - held[me]:
                status, body, _ = get(served, path, tokens[me])
                foreign[me] += len(body) if status not in REFUSED else 0
            together.wait()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(acts, (0, 1)))
    return sum(foreign)


def act(page: Reader, at: int, rng: random.Random, mark: str, keys: list[str]) -> bytes:
    """Open a page; on the work list, search and keep the list under a name."""
    if at % 4 == 1:
        page.asks("", f"mark={mark}")
        page.sets("Keep what", string_value=mark)
        return page.presses("Keep")
    if at % 4 == 3:
        page.asks("", f"mark={mark}")
        return page.sets("Case key", string_value=mark)
    return page.asks(rng.choice(["", "case", "about", "glass", "feedback"]), f"case={rng.choice(keys)}&mark={mark}")


def test_two_readers_at_once_get_nothing_of_each_other(served: Address, made_run: Path) -> None:
    assert two_readers(served, made_run, 4) == 0


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_readers_with_two_hundred_actions_each_get_nothing_of_each_other(served: Address, made_run: Path) -> None:
    assert two_readers(served, made_run, 200) == 0


@pytest.fixture(scope="module")
def addresses_of_bytes(made_run: Path) -> list[str]:
    """Where viewers fetch pixels and samples, of real studies, one of each kind."""
    found = {}
    for case in open_cohort(made_run.parent / "cohort").cases():
        for kind in ("ct", "xray", "eeg"):
            for one in case.usable(kind)[:1]:
                found[kind] = f"/v1/case/{case.case_key}/{kind}/{study_id(one)}"
    return [
        *(f"{found['ct']}/header", f"{found['ct']}/axial/0?count=2"),
        *(f"{found['xray']}/header", f"{found['xray']}/pixels"),
        *(found["eeg"], f"{found['eeg']}/page?start=0&stop=256"),
    ]


def test_bytes_of_viewers_are_served_to_clinical_roles_and_to_nobody_else(
    served: Address, addresses_of_bytes: list[str]
) -> None:
    tokens = {role: a_session(served.home, f"bytes-{role}", [role]) for role in ROLES}
    with open_store(f"sqlite:///{served.home / 'store.sqlite'}", heads=served.home / "heads") as store:
        gone = store.users.add("bytes-gone", ["reader"])
        tokens |= {"disabled": store.sessions.open(gone.id), "signed out": store.sessions.open(gone.id), "nobody": ""}
        store.sessions.close(tokens["signed out"])
        store.users.disable(gone.id, by=gone.id)
    may = set(TABLE["acts"]["see_evidence"]["roles"])
    for path in addresses_of_bytes:
        status, whole, headers = get(served, path, tokens["reader"])
        assert (status, headers["Cache-Control"]) == (200, "private, no-store"), path
        assert len(whole) > 100
        for who, token in tokens.items():
            status, body, _ = get(served, path, token)
            assert status == (200 if who in may else 403 if who in ROLES else 401), (who, path)
            assert (body == whole) == (who in may)


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
