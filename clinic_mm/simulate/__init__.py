"""Cohorts in real file formats whose best possible AUC is known. Shares no code with what reads them."""
