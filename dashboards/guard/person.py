"""A signed-in person, as pages and routes see him: a name to act under, an opaque id for logs, roles."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Attributes:
        user: The name that acts of the store are written under; never logged.
        opaque: What logs say instead of the name.
        roles: Of `schemas/roles.toml`.
    """

    user: str
    opaque: str
    roles: frozenset[str]

    def may(self, act: str, case_key: str | None = None) -> bool:
        """Whether this person may do an act, on a case if one is named."""
        from guard.glass import may  # upwards on purpose: the short way of writing it

        return may(self, act, case_key)
