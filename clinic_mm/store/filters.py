"""Work lists that a user keeps under a name.

In:  a user, a name, a `WorklistQuery`. Out: his filters. Where a page ended, and for whom it is sealed, is not kept.
"""

from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import select

from clinic_mm.errors import InputError
from clinic_mm.store.database import Database
from clinic_mm.store.models import FilterRow
from clinic_mm.store.values import SavedFilter, WorklistQuery


@dataclass(frozen=True, slots=True)
class Filters:
    """All saved filters."""

    db: Database

    def of(self, user: str) -> tuple[SavedFilter, ...]:
        """Those of a user, by name; one that this version cannot read is left out."""
        with self.db.reading() as session:
            rows = session.scalars(select(FilterRow).where(FilterRow.user_id == user).order_by(FilterRow.name))
            read = [(row.name, _query(row.query)) for row in rows]
        return tuple(SavedFilter(name=name, query=query) for name, query in read if query)

    def save(self, user: str, name: str, query: WorklistQuery) -> None:
        """Keep a filter; one of the same name is replaced.

        Raises:
            InputError: If the name is empty or longer than 80 characters.
        """
        name = name.strip()
        if not 0 < len(name) <= 80 or not name.isprintable():
            raise InputError("A filter has a name of 1 to 80 characters", "name", "Choose another")
        kept = query.model_copy(update={"after": None, "sealed_for": ""}).model_dump_json()
        with self.db.writing() as work:
            work.session.merge(FilterRow(user_id=user, name=name, query=kept))

    def drop(self, user: str, name: str) -> None:
        """Forget a filter."""
        with self.db.writing() as work:
            found = work.session.get(FilterRow, (user, name))
            if found is not None:
                work.session.delete(found)


def _query(text: str) -> WorklistQuery | None:
    try:
        return WorklistQuery.model_validate_json(text)
    except ValidationError:
        return None
