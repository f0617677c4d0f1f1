"""A reading room of its own for a test, with a person who is signed in: pages of the dashboard run for nobody else."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st

from clinic_mm.bundle import folder
from clinic_mm.store.store import open_store
from clinic_mm.store.values import ROLES, Role

NAME = "Test Person"
OURS = {"components", "guard", "routes", "views", "server"}


@contextmanager
def signed_in(
    monkeypatch: pytest.MonkeyPatch, home: Path, run: Path | None = None, roles: Iterable[Role] = ROLES
) -> Iterator[str]:
    """The room in `home`, pages of `dashboards` on the path; gives the token of the session.

    A page takes the token from a cookie, which AppTest has no way to send: only that is put in its place.
    """
    home.mkdir(mode=0o700, exist_ok=True)
    with open_store(f"sqlite:///{home / 'store.sqlite'}", heads=home / "heads") as store:
        user = store.users.by_name(NAME) or store.users.add(NAME, roles)
        store.users.set_roles(user.id, roles, by=user.id)
        if run is not None:
            store.import_run(run)
        token = store.sessions.open(user.id)
    monkeypatch.setenv("CLINIC_MM_HOME", str(home))
    monkeypatch.delenv("CLINIC_MM_SITE", raising=False)
    if run is not None:
        monkeypatch.setenv("CLINIC_MM_RUN", str(run))
    monkeypatch.syspath_prepend(str(folder("dashboards")))
    st.cache_resource.clear()
    st.cache_data.clear()
    from guard import asking, room

    monkeypatch.setattr(asking, "token", lambda: token)
    try:
        yield token
    finally:
        room.opened().store.close()
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
