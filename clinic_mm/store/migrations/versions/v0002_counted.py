"""An index to count cases by state: PostgreSQL otherwise reads every row of the table to say how long the list is.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index("ix_cases_state", "cases", ["state"])
