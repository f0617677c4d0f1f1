import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit import config

from clinic_mm.bundle import folder
from clinic_mm.errors import TaskError, UsageError
from clinic_mm.site import SiteSettings, read_site
from tests.signed_in import signed_in

OPTIONS = tomllib.loads((folder("dashboards") / "guard" / "hardened.toml").read_text(encoding="utf-8"))["option"]
WEAKER: dict[str, Any] = {
    "client.showErrorDetails": "full",
    "client.toolbarMode": "developer",
    "server.xsrfCookieSameSite": "none",
    "server.corsAllowedOrigins": ["http://evil.example"],
    "server.trustedUserHeaders": {"X-User": "email"},
    "server.fileWatcherType": "poll",
    "server.baseUrlPath": "elsewhere",
    "server.maxUploadSize": 200,
    "server.disconnectedSessionTTL": 86_400,
}
OIDC = {"sign_in": {"by": ["oidc"]}, "oidc": {"roles": {"g": ["reader"]}}}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with signed_in(monkeypatch, tmp_path / "room"):
        import server

        server.configure(tmp_path / "room", "127.0.0.1", 8501)
        yield tmp_path / "room"
        config.get_config_options(force_reparse=True)


def findings(site: SiteSettings, home: Path, address: str = "127.0.0.1") -> str:
    from guard import hardened

    with pytest.raises(UsageError) as caught:
        hardened.check(site, home, address)
    return str(caught.value)


def test_as_it_is_shipped_nothing_is_wrong(home: Path) -> None:
    from guard import hardened

    hardened.check(SiteSettings(), home, "127.0.0.1")


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row["name"])
def test_a_weaker_setting_keeps_the_room_closed_and_is_named(home: Path, row: dict[str, Any]) -> None:
    weaker = WEAKER.get(row["name"], not row.get("must"))
    config.get_config_options(options_from_flags=None)
    config._set_option(row["name"], weaker, "environment variable STREAMLIT_X")
    told = findings(SiteSettings(), home)
    assert row["name"] in told
    assert row["why"] in told
    assert "STREAMLIT_X" in told


def test_a_file_of_the_operator_is_found(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import server

    (tmp_path / ".streamlit").mkdir()
    weaker = '[server]\ntrustedUserHeaders = "{\\"X-User\\": \\"email\\"}"\nscriptHealthCheckEnabled = true\n'
    (tmp_path / ".streamlit" / "config.toml").write_text(weaker, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    server.configure(home, "127.0.0.1", 8501)
    told = findings(SiteSettings(), home)
    assert "server.trustedUserHeaders" in told
    assert "server.scriptHealthCheckEnabled" in told
    assert str(tmp_path) in told


def test_listening_to_the_network_needs_https_before_it(home: Path) -> None:
    from guard import hardened

    assert "in the clear" in findings(SiteSettings(), home, "0.0.0.0")  # noqa: S104 - not bound
    hardened.check(SiteSettings.model_validate({"proxy": {"https": True}}), home, "10.0.0.5")


def test_what_others_on_the_machine_could_read_is_named(home: Path) -> None:
    (home / "cookie.key").chmod(0o644)
    home.chmod(0o755)
    told = findings(SiteSettings(), home)
    assert "chmod 700" in told
    assert "chmod 600" in told


@pytest.mark.parametrize(
    ("secrets", "named"),
    [
        (None, "cannot be read"),
        ("[auth]\n", "has no client_id, client_secret, server_metadata_url"),
        ('[auth]\nredirect_uri = "https://x.example/"\n', "auth.redirect_uri"),
        ('[auth]\nredirect_uri = "http://x.example/oauth2callback"\n', "not https"),
    ],
)
def test_an_identity_provider_that_cannot_be_asked_is_named(home: Path, secrets: str | None, named: str) -> None:
    if secrets is not None:
        (home / "secrets.toml").write_text(secrets, encoding="utf-8")
    assert named in findings(SiteSettings.model_validate(OIDC), home)


def test_the_key_of_cookies_is_made_once_and_for_nobody_else(home: Path) -> None:
    import server

    assert server.cookie_secret(home) == server.cookie_secret(home)
    assert (home / "cookie.key").stat().st_mode & 0o077 == 0
    assert len(server.cookie_secret(home)) == 64


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('allowed_hosts = ["*"]', "wildcard"),
        ("allowed_hosts = []", "name each host"),
        ("sign_in = { hours = 100 }", "less than or equal to 12"),
        ("reed_first = true", "read_first"),
        ('oidc = { roles = { g = ["root"] } }', "Input should be"),
        ("store = 3", "valid string"),
    ],
)
def test_a_wrong_line_of_the_dashboard_file_is_told_by_its_field(tmp_path: Path, line: str, named: str) -> None:
    (tmp_path / "dashboard.toml").write_text(line, encoding="utf-8")
    with pytest.raises(TaskError, match=named):
        read_site(tmp_path / "dashboard.toml")


def test_paths_of_the_dashboard_file_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "dashboard.toml").write_text(
        'heads = "heads"\nglass = { closed_cases = "closed.txt" }', encoding="utf-8"
    )
    found = read_site(tmp_path / "dashboard.toml")
    assert found.heads == tmp_path / "heads"
    assert found.glass.closed_cases == tmp_path / "closed.txt"
