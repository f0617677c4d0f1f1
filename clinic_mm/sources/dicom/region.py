"""Name the region of the body that a header speaks of, in one of a few words.

In:  Body Part Examined (0018,0015) as a header has it. Out: `head`, `chest`, ... or "" where it says nothing we know.
A fact for the cohort, to be held against what a picture looks like: headers are often wrong.
"""

from functools import cache

from clinic_mm import bundle


def region(body_part: str) -> str:
    """The region that a term means. The term itself, which a site may have made up, goes no further."""
    return _regions().get(body_part.strip().upper(), "")


@cache
def _regions() -> dict[str, str]:
    given = bundle.policy("body_parts")["regions"]
    return {term: name for name, terms in given.items() for term in terms}
