"""The parts of the page of operators: the glance, jobs, quarantine, disk, versions, audit.

In:  what `operator` read. Out: the parts, drawn. Paths of this machine stand here and nowhere else.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import pandas as pd
import streamlit as st

import guard
from clinic_mm.errors import ClinicError
from clinic_mm.jobs.operating.limits import limits
from clinic_mm.jobs.operating.matters import Matter, in_bytes
from clinic_mm.jobs.operating.verified import Kept, verify_within
from clinic_mm.jobs.operating.versions import made_by
from clinic_mm.jobs.operating.work import MOST_SHOWN, Work
from components.acts import moment
from components.banner import trouble
from components.opened import opened_run
from components.operator import Told, installed
from components.plain import plain
from guard import room

WELL: Final = "All is well"
ROWS_WHOLE: Final = 12
ROWS_PX: Final = 480
"""A table of more rows than that scrolls within this height."""
NO_LEDGER: Final = "This run kept no ledger, or it cannot be read: how far it is is not known\\."


def glance(found: Told, now: datetime) -> None:
    """One line that says whether all is well; else what to do, the gravest first."""
    act = sum(one.level == "act" for one in found.matters)
    look = len(found.matters) - act
    at = f"as of {now:%H:%M:%S} UTC"
    if act:
        st.error(f"**Act now: {act}** · to look at: {look} · {plain(at)}", icon=":material/emergency_home:")
    elif look:
        st.warning(f"**Nothing to act on now** · to look at: {look} · {plain(at)}", icon=":material/visibility:")
    else:
        st.success(f"**{WELL}** · {plain(at)}", icon=":material/check_circle:")
    for one in found.matters:
        _matter(one)


def _matter(one: Matter) -> None:
    word, icon = ("Act", ":material/priority_high:") if one.level == "act" else ("Look", ":material/visibility:")
    st.markdown(f"{icon} **{word} · {plain(one.about)}**: {plain(one.what)}\\.  \nTo do: {plain(one.mend)}\\.")
    if one.command:
        st.code(one.command, language=None, wrap_lines=True)


def jobs(found: Told, now: datetime) -> None:
    """How far the run is, how fast, and whether its driver is alive."""
    st.markdown("##### Jobs")
    work = found.work
    if work is None:
        st.markdown(NO_LEDGER)
        return
    state, counts = work.state, work.state.counts
    done = state.cases - state.pending
    share = done / state.cases if state.cases else 1.0
    st.progress(share, text=plain(f"Run {state.run_id}: {done:,} of {state.cases:,} cases have an end"))
    unknown = "not known" if state.pending else "none"
    _figures(
        {
            "Driver": _driver(work),
            "Last written down": moment(work.last_at) if work.last_at else "nothing yet",
            "In work": f"{state.claimed:,} cases" if state.running else "none",
            "Waiting": f"{state.pending:,}",
            "Pace": f"{work.per_hour:,.0f} cases/h" if work.per_hour else unknown,
            "Time left": _lasts(work.left_s) if work.left_s is not None else unknown,
        }
    )
    ends = {
        "Answered": f"{counts.done - counts.silent:,}",
        "No answer": f"{counts.silent:,}",
        "Skipped": f"{counts.skipped:,}",
        "Failed": f"{counts.failed:,}",
        "Quarantined": f"{counts.quarantined:,}",
    }
    _figures(ends)
    if work.since:
        st.caption(plain(f"{work.units} units are handed out, the longest since {moment(work.since)}."))


def _figures(of: dict[str, str]) -> None:
    with st.container(horizontal=True):
        for name, value in of.items():
            st.metric(name, value, width="content")


def _driver(work: Work) -> str:
    if work.state.running:
        return "alive"
    if work.watched:
        return "watching"
    return "not needed" if work.state.finished else "gone"


def quarantine(found: Told) -> None:
    """Cases that failed or killed a worker, with tries and reason; and why others have no answer."""
    if found.work is None:
        st.markdown(NO_LEDGER)
        return
    troubled, skipped = found.work.troubled, found.work.skipped
    st.markdown("##### Failed, quarantined, or tried again")
    if troubled:
        rows = [
            {"Case": one.case_key, "State": _state(one.state), "Tries": one.tries, "Why": one.why} for one in troubled
        ]
        _lines(rows, "Cases that failed or killed a worker, worst first")
        st.caption(plain(f"At most {MOST_SHOWN}. When their evidence is looked at: screen with --resume --retry."))
    else:
        st.markdown("None\\.")
    st.markdown("##### Why cases have no answer")
    if not skipped:
        st.markdown("Every case that has an end has an answer, or says itself why it is silent\\.")
        return
    rows = [
        {"Cases": w.cases, "Status": w.status, "Modality": w.modality, "Code": w.code, "For one of them": w.example}
        for w in skipped
    ]
    _lines(rows, "Reasons why cases have no answer, the most frequent first")
    st.caption(
        "Mend the export, ingest, and start again\\. One line for each case stands in skipped\\.csv of the run\\."
    )


def _lines(rows: Sequence[Mapping[str, object]], alt: str) -> None:
    """A table whose words wrap: a grid would cut off what is to be done."""
    told = pd.DataFrame([{name: plain(str(value)) for name, value in row.items()} for row in rows])
    height: Literal["content"] | int = "content" if len(rows) <= ROWS_WHOLE else ROWS_PX
    st.table(told, border="horizontal", hide_index=True, height=height, alt=alt)


def _state(state: str) -> str:
    return {"pending": "tried again", "failed": "tried again at the next start", "quarantined": "left alone"}[state]


def disk(found: Told) -> None:
    """Sizes, free space, and what may be cleared."""
    rows = [
        {
            "Part": part.name,
            "Takes": f"{'at least ' if part.more else ''}{in_bytes(part.bytes)}",
            "Files": part.files,
            "Free": in_bytes(part.free) if part.free is not None else "no such folder yet",
            "Of": in_bytes(part.total) if part.total is not None else "",
            "What may be cleared": part.clear,
            "Where": part.path,
        }
        for part in found.parts
    ]
    _lines(rows, "Folders: what they take, what is free, what may be cleared")
    rules = limits().disk
    st.caption(
        plain(
            f"You are told to act below {rules.act_gb:g} GB or {rules.act_share:.0%} free, to look below "
            f"{rules.look_gb:g} GB or {rules.look_share:.0%}. Looked through once a minute."
        )
    )


def versions(found: Told) -> None:
    """What made the run, what runs here, and under which licences."""
    facts = made_by(opened_run().info, found.spec, room.opened().store.version())
    st.table({name: plain(value) for name, value in facts.items()}, border="horizontal")
    rows = [{"Library": one.name, "Version": one.version, "Licence": one.licence} for one in installed()]
    st.dataframe(pd.DataFrame(rows), hide_index=True, alt="Installed libraries with version and licence")
    st.caption("Licences as each library's own metadata names them\\.")


def audit(found: Told) -> None:
    """When the chain was last verified, and the button that verifies it now."""
    person, seconds = guard.need("see_audit"), limits().room.verify_seconds
    kept = found.kept
    if st.button("Verify the audit now", icon=":material/verified:", key="verify-audit"):
        kept = _verified(person, seconds) or kept
    if kept is None:
        st.markdown("It was never verified from this page\\.")
        return
    at, links = moment(kept.at), f"{kept.links:,} links, {kept.heads:,} signed heads, in {kept.seconds:.1f} s"
    if kept.whole:
        st.success(f"Whole, {plain(at)}: {plain(links)}\\.", icon=":material/verified:")
    else:
        st.error(f"**Not whole**, {plain(at)}: {kept.found} findings; {plain(links)}\\.", icon=":material/gpp_bad:")
        rows = [{"Code": one.code, "Where": one.where, "What": one.what} for one in kept.findings]
        _lines(rows, "What is not as it was written")
    st.caption("The newest link as it then was\\. Keep it elsewhere: who cuts the end of the chain is found by it\\.")
    st.code(kept.newest, language=None)


def _verified(person: guard.Person, seconds: float) -> Kept | None:
    here = room.opened()
    url = here.store.db.engine.url.render_as_string(hide_password=False)
    with st.spinner(f"Verifying, {seconds:g} s at most"):
        try:
            kept = verify_within(url, here.store.db.heads.folder, here.home, seconds)
            here.store.audit.note("verified", person.user, links=kept.links, findings=kept.found)
        except ClinicError as error:
            trouble(error)
            return None
        except OSError:
            st.error("It was verified, and cannot be kept: the disk of the room is full or may not be written\\.")
            return None
    return kept


def _lasts(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    if whole < timedelta(minutes=1):
        return "under a minute"
    if whole < timedelta(hours=2):
        return f"about {whole.seconds // 60} min"
    return f"about {whole.total_seconds() / 3600:.0f} h"
