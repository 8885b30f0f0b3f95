"""Rows of other people's tables: one reader for costs of patients, bands and real year-end figures.

`read.read` takes a file (CSV, TSV, either gzipped, Parquet, Excel) or a frame (pandas, polars, Arrow, a mapping) and
gives columns; what a cell means (`numbers`, `dates`, `cells`) is decided in one place, whatever it came from.
"""
