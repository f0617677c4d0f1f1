from collections.abc import Iterator

import pytest

from clinic_mm.bundle import folder, policy
from clinic_mm.store.values import ROLES
from tests.signed_in import signed_in

TABLE = policy("roles")
CLINICAL = {"see_worklist", "see_case", "see_evidence", "see_identity", "begin", "opinion", "decide", "sign", "amend"}


@pytest.fixture(autouse=True, scope="module")
def _room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("rules") / "room"
    with pytest.MonkeyPatch.context() as monkeypatch, signed_in(monkeypatch, home):
        yield


def test_the_roles_are_those_of_the_store() -> None:
    assert set(TABLE["roles"]) == set(ROLES)


def test_every_page_of_the_dashboard_stands_in_the_table_and_every_row_has_its_page() -> None:
    assert {row["view"] for row in TABLE["pages"].values()} == {
        p.name for p in (folder("dashboards") / "views").glob("*.py")
    }


def test_an_administrator_and_a_scientist_see_no_case() -> None:
    from guard.rules import rules

    for role in ("admin", "scientist"):
        assert not any(rules().allow(frozenset({role}), act) for act in CLINICAL)


@pytest.mark.parametrize("act", sorted(set(TABLE["acts"]) & {"sign", "amend", "manage_users", "explore", "see_audit"}))
def test_what_few_may_do_belongs_to_one_role(act: str) -> None:
    assert len(TABLE["acts"][act]["roles"]) == 1


def test_an_act_that_nobody_defined_is_refused_where_it_is_written() -> None:
    from guard import guarded

    with pytest.raises(AssertionError, match="no act"):
        guarded("see_everything")


@pytest.mark.parametrize(
    "path",
    ["/", "/x", "/case/", "/Case", "/v1", "/media", "/_stcore", "/_stcore/agent/x", "/_stcore/script-health-check",
     "/app/static/x", "/sign-in/", "/sign-in/x", "/auth/logout", "/_stcore/streamx", "//media/x", "/_STCORE/stream"],
)  # fmt: skip
def test_an_address_that_the_table_does_not_name_is_unknown(path: str) -> None:
    from guard.rules import rules

    assert rules().address(path) is None
    assert rules().page(path) is None


def test_a_route_that_asks_nobody_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    from types import ModuleType

    from starlette.routing import Route

    import routes

    careless = ModuleType("routes.careless")
    careless.routes = [Route("/v1/open", lambda request: request)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "routes.careless", careless)
    monkeypatch.setattr(routes, "MODULES", ("careless",))
    with pytest.raises(AssertionError, match=r"without guard\.guarded"):
        routes.gathered()


def test_what_peers_wrote_is_guarded() -> None:
    from routes import gathered

    assert all(route.path.startswith("/v1/") for route in gathered())
