"""Omics: matrices of samples and features (gene expression, miRNA, methylation) from CSV, TSV and Parquet."""
