"""Parquet files, and frames that speak Arrow: only the chosen columns, once rows and bytes are bounded."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from ...errors import SimulatorError
from ..columns.cells import column_of
from ..columns.column import Column
from ..layout import Layout
from ..names import Said
from ..table import Choose, Headers, Pick, Table
from .source import MOST_COLUMNS, check_rows

_MOST_BYTES = 1 << 33  # unpacked bytes of the chosen columns
_MANY = 5_000_000
_FEW = 200_000  # up to so many rows, all columns of text are looked at for the label of a total
_FEWEST_BITS = 1  # packed bits a row: a table of many rows that has fewer repeats one row without end


def read_parquet(path: Path, layout: Layout, choose: Choose, said: Said) -> Table:
    """The chosen columns of a Parquet file."""
    try:
        with parquet.ParquetFile(path) as file:
            _check_count(file.metadata.num_columns, file.metadata.num_rows, said)
            headers = Headers(file.schema_arrow.names, layout.columns)
            picks = choose(headers)
            names = [file.schema_arrow.names[pick.position] for pick in picks]
            _check_types(file.schema_arrow, names, said)
            _check_bytes(file.metadata, set(names), said)
            table = file.read(columns=names)
            last = _last_texts(table)
            if file.metadata.num_rows <= _FEW:
                texts = [field.name for field in file.schema_arrow if _is_text(_inner(field.type))]
                group = file.metadata.num_row_groups - 1
                last = _last_texts(file.read_row_group(group, columns=texts)) if texts else {}
    except SimulatorError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        raise said.of_file("is not a sound Parquet file", "write it afresh") from None
    return columns_of_arrow(table, headers, picks, said, last)


def _inner(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _last_texts(table: Any) -> dict[str, tuple[str, str]]:
    """By name, the texts of the last row and of the one before it."""
    rows = table.slice(max(table.num_rows - 2, 0))
    found = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        cells = column.to_pylist()
        if cells and isinstance(cells[-1], str):
            found[name] = (cells[-1], cells[-2] if len(cells) > 1 and isinstance(cells[-2], str) else "")
    return found


def read_frame(source: Any, layout: Layout, choose: Choose, said: Said) -> Table:
    """The chosen columns of a frame that speaks Arrow (polars, pyarrow and others)."""
    try:
        table = source if isinstance(source, pa.Table) else pa.table(source)
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        raise said.of_rows(f"{said.holds} a frame that Arrow cannot take over", "give a pandas DataFrame") from None
    _check_count(table.num_columns, table.num_rows, said)
    headers = Headers(table.column_names, layout.columns)
    picks = choose(headers)
    chosen = table.select([pick.position for pick in picks])
    _check_types(chosen.schema, chosen.column_names, said)
    return columns_of_arrow(chosen, headers, picks, said, _last_texts(table))


def columns_of_arrow(
    table: Any, headers: Headers, picks: list[Pick], said: Said, last: dict[str, tuple[str, str]]
) -> Table:
    """An Arrow table as columns."""
    try:
        columns = {pick.name: _column(table.column(at)) for at, pick in enumerate(picks)}
    except (pa.ArrowException, ValueError, OverflowError):
        raise said.of_rows(f"{said.has} a column that cannot be read", "write the table afresh") from None
    places = {at: last[name] for at, name in enumerate(headers.names) if name in last}
    return Table(headers, columns, picks, tuple({at: texts[k] for at, texts in places.items()} for k in (0, 1)))  # type: ignore[arg-type]


def _column(values: Any) -> Column:
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())
    if _is_text(values.type):
        values = values.dictionary_encode()
    if pa.types.is_integer(values.type) and values.null_count and values.type != pa.uint64():
        import pandas as pd

        return column_of(pd.Series(values.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)))
    return column_of(values.to_pandas(date_as_object=False))


def _check_count(columns: int, rows: int, said: Said) -> None:
    check_rows(rows, said)
    if columns > MOST_COLUMNS:
        raise said.of_rows(f"{said.has} more than {MOST_COLUMNS:,} columns", "save those that are needed")


def _check_types(schema: Any, names: list[str], said: Said) -> None:
    for name in names:
        kind = _inner(schema.field(name).type)
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise said.nested(name)


def _check_bytes(metadata: Any, names: set[str], said: Said) -> None:
    """Refuse a file that unpacks to more than memory holds, or to a row repeated without end."""
    packed = unpacked = 0
    for group in range(metadata.num_row_groups):
        part = metadata.row_group(group)
        for at in range(part.num_columns):
            column = part.column(at)
            if column.path_in_schema in names:
                packed, unpacked = packed + column.total_compressed_size, unpacked + column.total_uncompressed_size
    repeated = metadata.num_rows > _MANY and 8 * packed < _FEWEST_BITS * metadata.num_rows
    if unpacked > _MOST_BYTES or repeated:
        raise said.of_file("unpacks to far more than a table holds", "check how it was written, or give a sample of it")
