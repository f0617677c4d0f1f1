"""Who is asking, and what he may see: the only way pages and routes learn it.

    guard.current()                      in a page: the Person, or the page ends with the way to sign in
    guard.may(person, act, case_key)     by schemas/roles.toml, and the glass of a closed case
    guard.guarded(act)(endpoint)         a Starlette endpoint that only those reach who may
    guard.masked(person, text)           what stands in place of an identifier while teaching masks are on

The door (`guard.door`) stands before everything else: without a session nothing of the server answers at all.
"""

from guard.asking import current, need
from guard.glass import may
from guard.guarded import guarded
from guard.masks import masked
from guard.person import Person

__all__ = ["Person", "current", "guarded", "masked", "may", "need"]
