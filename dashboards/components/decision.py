"""What a person does with a case: begin, decide, comment, sign, amend, give it back. Only what he may, and only now.

In:  the case as the store has it, its answer as far as it may be seen, who asks. Out: the panel of the case page.

Every button carries the version that it was drawn with: of two readers of one version one wins, the other is told who
and when. What is not offered is refused as well (`components.acts`, the store).
"""

from typing import Final

import streamlit as st

import guard
from clinic_mm.report.run import Prediction, RunInfo
from clinic_mm.report.words import shows_answer
from clinic_mm.store.values import CaseFile, Decided, Decision
from components.acts import attempt, moment, who
from components.opened import store
from components.opinion import agreement, opinion_form, own_opinion
from components.plain import plain
from components.ranking import STATE_WORDS
from guard import room

LONGEST: Final = 2000
DONE_WORDS: Final = {"accept": "accepted the answer", "override": "overrode the answer", "own": "gave an own verdict"}


def panel(file: CaseFile, found: Prediction | None, info: RunInfo, person: guard.Person) -> None:
    """Draw the panel.

    Args:
        file: The case, sealed where the person has not given an opinion.
        found: Its answer; None where there is none, or it is sealed.
        info: Of the run: the classes.
        person: Who asks.
    """
    st.markdown(f"##### Reading · {STATE_WORDS[file.state]}")
    if file.newer:
        st.warning("A newer answer came after somebody decided; this is the one that was judged\\.")
    lock = file.lock if file.lock and file.lock.until > room.now() else None
    if own := own_opinion(file, person):
        agreement(own, found)
    if file.verdict:
        _stands(file, person)
    if lock and lock.by != person.user:
        st.info(f"{plain(who(lock.by))} reads this case since {moment(lock.since)}\\.", icon=":material/lock:")
    elif lock:
        _reading(file, found, info, person)
    else:
        _free(file, person)
    _comments(file)
    with st.container(horizontal=True):
        if lock and lock.by == person.user:
            with st.container(key="do-release", width="content"):
                st.button("Give it back", icon=":material/logout:", on_click=_release, args=(file.case_key,))
        if person.may("comment", file.case_key):
            with st.container(key="do-comment", width="content"):
                _comment_form(file)


def history(file: CaseFile, person: guard.Person) -> None:
    """Everything that was done, in its order."""
    rows = [(one.number, one.at, one.by, f"first opinion: {one.verdict}") for one in file.opinions]
    rows += [
        (one.number, one.at, one.by, f"{DONE_WORDS[one.act]}: {one.verdict}{_because(one.reason)}")
        for one in file.decisions
    ]
    rows += [(one.number, one.at, one.by, f"comment: {one.text}") for one in file.comments]
    rows += [(one.number, one.at, one.by, "signed") for one in file.signatures]
    rows += [(one.number, one.at, one.by, f"amended to {one.verdict}{_because(one.reason)}") for one in file.amendments]
    if rows:
        with st.expander(f"What was done ({len(rows)})"):
            lines = [f"{moment(at)} · **{plain(who(by, person))}** {plain(text)}" for _, at, by, text in sorted(rows)]
            st.markdown("\n".join(f"- {line}" for line in lines))


def _stands(file: CaseFile, person: guard.Person) -> None:
    acts: list[Decision] = sorted(file.decisions, key=lambda one: one.number)
    last = acts[-1] if acts else None
    signed = max(file.signatures, key=lambda one: one.number, default=None)
    if signed:
        word = "Amended" if file.amendments else "Signed"
        st.markdown(f"**{word}: {plain(file.verdict)}**, by {plain(who(signed.by, person))}, {moment(signed.at)}\\.")
    elif last:
        how = DONE_WORDS[last.act]
        st.markdown(f"**Decided: {plain(last.verdict)}** · {plain(who(last.by, person))} {how}, {moment(last.at)}\\.")


def _free(file: CaseFile, person: guard.Person) -> None:
    """Nobody reads it."""
    if file.state in ("new", "running"):
        st.caption("The screening has not come to this case yet\\.")
        return
    done = file.state in ("signed", "amended")
    act = "amend" if done else "begin"
    if not person.may(act, file.case_key):
        st.caption("Your roles read, and do not change\\." if not done else "A signer can amend it\\.")
        return
    with st.container(key="do-begin"):
        st.button(
            "Amend" if done else "Begin to read",
            type="secondary" if done else "primary",
            icon=":material/edit:" if done else ":material/menu_book:",
            on_click=_begin,
            args=(file.case_key, act),
            help="Nobody else can decide it meanwhile; after 30 minutes of doing nothing it is free again",
        )


def _reading(file: CaseFile, found: Prediction | None, info: RunInfo, person: guard.Person) -> None:
    """The person reads it."""
    if file.state in ("signed", "amended"):
        if person.may("amend", file.case_key):
            _amend_form(file, info)
    elif file.sealed and person.may("opinion", file.case_key):
        opinion_form(file, info.classes)
    elif person.may("decide", file.case_key):
        if file.decisions and person.may("sign", file.case_key):
            _sign(file)
        elif file.decisions:
            st.caption("A signer signs it\\.")
        _decide(file, found, info, again=bool(file.decisions))


def _decide(file: CaseFile, found: Prediction | None, info: RunInfo, *, again: bool) -> None:
    """Accept or override; where there is no answer, an own verdict."""
    whole = st.expander("Decide otherwise") if again else st.container()
    with whole:
        if found is not None and file.answered and shows_answer(found):
            _accept_or_override(file, found, info, again=again)
        else:
            _verdict_form(file, info.classes, "own", "Record my verdict")


def _accept_or_override(file: CaseFile, found: Prediction, info: RunInfo, *, again: bool) -> None:
    others = tuple(name for name in info.classes if name != found.decision)
    with st.container(horizontal=True):
        with st.container(key="do-accept", width="content"):
            st.button(
                f"Accept: {plain(found.decision)}",
                type="secondary" if again else "primary",
                icon=":material/check:",
                on_click=_decided,
                args=(file.case_key, file.version, "accept", found.decision),
            )
        with st.container(key="do-override", width="content"), st.popover("Override …", icon=":material/edit:"):
            _verdict_form(file, others, "override", "Override")


def _verdict_form(file: CaseFile, classes: tuple[str, ...], act: Decided, label: str) -> None:
    key, needed = f"{act}-{file.case_key}", act == "override"
    with st.form(f"form-{act}", border=False):
        st.radio("It is", classes, index=0 if len(classes) == 1 else None, key=f"{key}-verdict", format_func=plain)
        why = "Reason, which is kept and shown to others" if needed else "Remark (not needed)"
        st.text_area(why, key=f"{key}-reason", max_chars=LONGEST, height=90)
        st.form_submit_button(label, on_click=_decided, args=(file.case_key, file.version, act, None))


def _sign(file: CaseFile) -> None:
    with st.container(key="do-sign"):
        st.button(
            f"Sign: {plain(file.verdict)}",
            type="primary",
            icon=":material/signature:",
            on_click=_signed,
            args=(file.case_key, file.version),
        )


def _amend_form(file: CaseFile, info: RunInfo) -> None:
    st.markdown("What was signed stays on record; the amendment is signed by you at once\\.")
    key = f"amend-{file.case_key}"
    with st.form("form-amend", border=False):
        st.radio("It is", info.classes, index=None, key=f"{key}-verdict", format_func=plain)
        st.text_area("Reason", key=f"{key}-reason", max_chars=LONGEST, height=90)
        st.form_submit_button("Amend and sign", on_click=_amended, args=(file.case_key, file.version))


def _comments(file: CaseFile) -> None:
    for one in file.comments:
        st.markdown(f":material/comment: {plain(one.text)}  \n{plain(who(one.by))}, {moment(one.at)}")


def _comment_form(file: CaseFile) -> None:
    with st.popover("Comment …", icon=":material/comment:"):
        key = f"comment-{file.case_key}-{len(file.comments)}"
        with st.form("form-comment", border=False):
            st.text_area("Comment", key=key, max_chars=LONGEST, height=90)
            st.form_submit_button("Comment", on_click=_commented, args=(file.case_key, file.version, key))


def _begin(case_key: str, act: str) -> None:
    attempt(act, case_key, lambda user: store().begin(case_key, user, room.now()))


def _release(case_key: str) -> None:
    attempt("begin", case_key, lambda user: store().release(case_key, user, room.now()), "Given back.")


def _decided(case_key: str, version: int, act: Decided, verdict: str | None) -> None:
    key = f"{act}-{case_key}"
    chosen = verdict if verdict is not None else st.session_state.get(f"{key}-verdict") or ""
    reason = "" if act == "accept" else str(st.session_state.get(f"{key}-reason") or "")
    attempt(
        "decide",
        case_key,
        lambda user: store().decide(
            case_key, user, version=version, act=act, verdict=chosen, reason=reason, now=room.now()
        ),
        "Decided. It counts once it is signed.",
    )


def _signed(case_key: str, version: int) -> None:
    attempt("sign", case_key, lambda user: store().sign(case_key, user, version=version, now=room.now()), "Signed.")


def _amended(case_key: str, version: int) -> None:
    verdict = st.session_state.get(f"amend-{case_key}-verdict") or ""
    reason = str(st.session_state.get(f"amend-{case_key}-reason") or "")
    attempt(
        "amend",
        case_key,
        lambda user: store().amend(case_key, user, version=version, verdict=verdict, reason=reason, now=room.now()),
        "Amended and signed.",
    )


def _commented(case_key: str, version: int, key: str) -> None:
    text = str(st.session_state.get(key) or "")
    attempt(
        "comment",
        case_key,
        lambda user: store().comment(case_key, user, version=version, text=text, now=room.now()),
        "Your comment is kept.",
    )


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
