"""A signed-in person, as pages and routes see him: an opaque id to act under, a name for the screen, roles."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Attributes:
        user: Opaque id: what acts of the store are written under, and all that logs say.
        name: What the person signs in with; for his own screen, never for a log or an address.
        roles: Of `schemas/roles.toml`.
    """

    user: str
    name: str = field(repr=False)
    roles: frozenset[str]

    def may(self, act: str, case_key: str | None = None) -> bool:
        """Whether this person may do an act, on a case if one is named."""
        from guard.glass import may  # upwards on purpose: the short way of writing it

        return may(self, act, case_key)
