"""Read tables: CSV and Parquet by a mapping, MEDS and OMOP without one."""
