"""How databases of older versions become those of this one; Alembic runs what stands in versions/."""
