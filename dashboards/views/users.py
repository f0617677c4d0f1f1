"""Users of the reading room: who they are, what they may do, and a link for those who come for the first time.

In:  what an administrator decides. Out: the users of the store; each change stands in the audit chain.
"""

from typing import Final

import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from clinic_mm.store.values import ROLES, Role, User
from components.banner import trouble
from components.plain import plain
from guard import room
from guard.rules import rules

NEW_LINK: Final = "new-link"


def main() -> None:
    """Draw the page."""
    person = guard.need("manage_users")
    st.header("Users")
    try:
        _show_link()
        users = room.opened().store.users.all()
        st.dataframe(
            [
                {
                    "Name": user.name,
                    "Roles": ", ".join(user.roles),
                    "Signs in by": "password" if user.has_password else "link or organisation",
                    "May enter": not user.disabled,
                    "In the audit": user.id,
                }
                for user in users
            ],
            hide_index=True,
        )
        left, right = st.columns(2, gap="large")
        with left:
            _add(person)
        with right:
            _change(person, users)
    except ClinicError as error:
        trouble(error)


def _add(person: guard.Person) -> None:
    st.markdown("##### Add a user")
    with st.form("add", clear_on_submit=True):
        name = st.text_input("Name to sign in with", max_chars=256)
        roles = _ticked((), "add")
        if st.form_submit_button("Add, and make a first-login link") and name.strip():
            user = room.opened().store.users.add(name, roles, by=person.user, now=room.now())
            _invite(person, user)


def _change(person: guard.Person, users: tuple[User, ...]) -> None:
    st.markdown("##### Change a user")
    user = st.selectbox("User", users, format_func=lambda one: one.name)
    if user is None:
        return
    with st.form(f"change-{user.id}"):
        roles = _ticked(user.roles, user.id)
        enters = st.toggle("May enter", not user.disabled)
        save, invite = st.columns(2)
        saved = save.form_submit_button("Save", width="stretch")
        invited = invite.form_submit_button("New first-login link", width="stretch")
    if saved:
        _save(person, user, roles, enters=enters)
    elif invited:
        _invite(person, user)


def _save(person: guard.Person, user: User, roles: list[Role], *, enters: bool) -> None:
    """Change what differs; nobody takes his own keys away by mistake."""
    if user.id == person.user and (not enters or "admin" not in roles):
        st.warning("You cannot shut yourself out\\. Another administrator can\\.", icon=":material/lock:")
        return
    store = room.opened().store.users
    if set(roles) != set(user.roles):
        store.set_roles(user.id, roles, by=person.user, now=room.now())
    if enters == user.disabled:
        (store.enable if enters else store.disable)(user.id, by=person.user, now=room.now())
    st.rerun()


def _invite(person: guard.Person, user: User) -> None:
    token = room.opened().store.users.invite(user.id, by=person.user, now=room.now())
    st.session_state[NEW_LINK] = (user.name, token)
    st.rerun()


def _show_link() -> None:
    """The link, once: the store keeps only its hash."""
    found = st.session_state.pop(NEW_LINK, None)
    if found is None:
        return
    name, token = found
    st.success(f"First-login link for {plain(name)}: good once, for one hour\\. Hand it over in person\\.")
    st.code(f"{st.context.headers.get('Origin', '')}/first-login#{token}", language=None)


def _ticked(has: tuple[Role, ...], key: str) -> list[Role]:
    """One box for each role, in words."""
    words = rules().roles
    return [role for role in ROLES if st.checkbox(f"**{role}**: {words[role]}", role in has, key=f"{key}-{role}")]


main()
