"""Human acts on an answer, made up: read and commented, signed, overridden, signed again."""

from datetime import UTC, datetime, timedelta

from clinic_mm.report.setting import Whose
from clinic_mm.report.signed import UNSIGNED, Comment, Signed

SIGNED_AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SAID = Comment(by="u18", at=SIGNED_AT - timedelta(minutes=5), text="Compare with last week <b>please</b>")
READ = Signed(comments=(SAID,))
FINAL = Signed(state="final", verdict="positive", act="accept", signer="u17", signed_at=SIGNED_AT, comments=(SAID,))
OVERRIDDEN = Signed(
    state="final",
    verdict="negative",
    act="override",
    reason="A nipple shadow & no nodule",
    signer="u17",
    signed_at=SIGNED_AT,
)
AMENDED = Signed(
    state="amended",
    verdict="negative",
    act="override",
    reason="A nipple shadow",
    signer="u19",
    signed_at=SIGNED_AT + timedelta(hours=3),
    amendment_reason="Wrong side read at first",
    before=FINAL,
)
ACTS = {"unsigned": UNSIGNED, "read": READ, "final": FINAL, "overridden": OVERRIDDEN, "amended": AMENDED}
WHOSE = Whose(name="Müller^Ana Maria", patient_id="MRN-0042", sex="F")
