"""From cells of any type to a column: what a Series, an array or a list holds."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .column import Column

_MOST_EXACT = 2**53  # whole numbers beyond this are not all different as floating numbers
_NESTED = (list, tuple, set, dict, np.ndarray, bytes)


class NestedError(TypeError):
    """A column that holds lists or records."""


def text_column(texts: Any, typed: bool = True) -> Column:
    """A column of texts; nothing is where there is None or an empty text."""
    import pandas as pd

    codes, levels = pd.factorize(texts)
    return of_levels(np.asarray(codes, np.int64), np.asarray(levels, object), typed)


def of_levels(codes: NDArray[np.int64], levels: NDArray[Any], typed: bool = True) -> Column:
    """A column of texts from the code of each row; an empty text is no text."""
    empty = np.flatnonzero(levels == "")
    return Column(levels, np.where(np.isin(codes, empty), -1, codes) if empty.size else codes, typed)


def column_of(given: Any) -> Column:
    """A column from a Series, an array or a list."""
    import pandas as pd

    series: Any = given if isinstance(given, pd.Series) else pd.Series(_array(given))
    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _of_categories(series)
    if isinstance(kind, pd.DatetimeTZDtype):
        series = series.dt.tz_localize(None)
        kind = series.dtype
    if pd.api.types.is_datetime64_dtype(kind):
        return Column(np.asarray(series.to_numpy(dtype="datetime64[us]")))
    if pd.api.types.is_bool_dtype(kind) and not series.isna().any():
        return Column(series.to_numpy(dtype=bool))
    if pd.api.types.is_complex_dtype(kind) or pd.api.types.is_timedelta64_dtype(kind):
        return text_column(series.astype(str).to_numpy(dtype=object))
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind):
        if pd.api.types.is_integer_dtype(kind):
            if not series.isna().any():
                return Column(series.to_numpy())
            if series.abs().max() > _MOST_EXACT:  # ids, which must not become each other
                return text_column(series.astype("string"), typed=False)
        return Column(series.to_numpy(dtype=float, na_value=np.nan))
    if isinstance(kind, pd.StringDtype):
        return text_column(series)
    return _of_objects(np.asarray(series.to_numpy(dtype=object, na_value=None)))


def _array(given: Any) -> NDArray[Any]:
    """An array of one dimension; what cannot be one is kept cell by cell."""
    try:
        found = np.asarray(given)
    except ValueError:  # lists of different lengths
        found = np.empty(0)
    if found.ndim == 1:
        return found
    cells = np.empty(len(given), object)
    cells[:] = list(given)
    return cells


def _of_categories(series: Any) -> Column:
    levels = np.asarray(series.cat.categories)
    codes = np.asarray(series.cat.codes, np.int64)
    if levels.dtype.kind in "iufM" or not all(isinstance(level, str) for level in levels):
        inner = column_of(levels)
        if inner.codes is None and inner.values.dtype.kind in "iuf":
            return Column(np.append(inner.values.astype(float), np.nan)[codes])
        if inner.codes is None and inner.is_dates:
            return Column(np.append(inner.values, np.datetime64("NaT"))[codes])
        levels = np.asarray([as_text(level) for level in levels], object)
    return of_levels(codes, np.asarray(levels, object))


def _of_objects(values: NDArray[Any]) -> Column:
    """Cells of any type: numbers, truths or moments where all are, text otherwise."""
    import pandas as pd

    if pd.api.types.infer_dtype(values, skipna=True) == "string":
        return text_column(values)
    there = [value for value in values if not _is_missing(value)]
    if any(isinstance(value, _NESTED) for value in there):
        raise NestedError
    if not there:
        return Column(np.full(values.size, np.nan))
    kinds = set(map(type, there))
    if kinds <= {bool, np.bool_} and len(there) == values.size:
        return Column(values.astype(bool))
    if all(issubclass(kind, int | float | Decimal | np.number) and kind is not bool for kind in kinds):
        return Column(np.array([np.nan if _is_missing(value) else _as_float(value) for value in values]))
    if all(issubclass(kind, dt.date | np.datetime64) for kind in kinds):
        return _of_moments(values)
    texts = np.array([None if _is_missing(value) else as_text(value) for value in values], object)
    return text_column(texts, typed=False)


def _of_moments(values: NDArray[Any]) -> Column:
    def moment(value: Any) -> np.datetime64:
        plain = value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value
        return np.datetime64("NaT" if _is_missing(value) else plain, "us")

    try:
        return Column(np.array(list(map(moment, values)), "datetime64[us]"))
    except (ValueError, OverflowError):
        return text_column(np.array([None if _is_missing(value) else str(value) for value in values], object))


def _is_missing(value: Any) -> bool:
    """Whether nothing is there: None, nan, NaT, pandas' NA, or an empty text."""
    if value is None or (isinstance(value, str) and not value):
        return True
    if isinstance(value, _NESTED):
        return False
    try:
        return bool(value != value)  # noqa: PLR0124 - only what is no number differs from itself
    except TypeError:  # pandas' NA is neither true nor false
        return True


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return np.inf if value > 0 else -np.inf


def as_text(value: Any) -> str:
    """A cell of a column of text, as people write it: 3.0 is 3, and a moment without a time a date."""
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return str(int(value))
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return str(value)
