"""Columns of a Parquet file as Python values, whoever wrote it; and the opening of such files (extra ``parquet``)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np

from memdefrag.base.errors import NotPermitted, StoreDamaged, UnsupportedEnvironment
from memdefrag.model.records import Vector
from memdefrag.stores.foreign_sqlite import BYTES

MAGIC = b"PAR1"
"""What a Parquet file begins and ends with."""

ROWS = 2_000
"""Read and written at once."""


def library() -> Any:
    """The module ``pyarrow`` with ``parquet``.

    Raises:
        UnsupportedEnvironment: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UnsupportedEnvironment(
            "Parquet files need pyarrow, which is not installed.",
            todo="Install the parquet extra: pipx install 'memdefrag[parquet]'.",
        ) from error
    return pyarrow


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A ``pyarrow.parquet.ParquetFile``.

    Raises:
        StoreDamaged: it cannot be read; also later, while it is read.
        NotPermitted: it may not be read.
    """
    arrow = library()
    try:
        with arrow.parquet.ParquetFile(path, pre_buffer=False) as file:
            yield file
    except PermissionError as error:
        raise NotPermitted(f"{path} may not be read: {error.strerror}.") from error
    except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise StoreDamaged(f"{path} cannot be read as a Parquet file: {error}.") from error


def rows(file: Any, columns: Sequence[str], vectors: str | None) -> Iterator[tuple[dict[str, Any], Vector | None]]:
    """Row after row with bounded memory: the values of these columns by name, and the vector in column `vectors`."""
    wanted = [*columns, *([vectors] if vectors else [])]
    for batch in file.iter_batches(ROWS, columns=wanted, use_threads=False):
        found = {name: _values(batch.column(name)) for name in columns}
        embedded = _vectors(batch.column(vectors)) if vectors else [None] * batch.num_rows
        for number, vector in enumerate(embedded):
            yield {name: column[number] for name, column in found.items()}, vector


def is_text(type: Any) -> bool:
    """Whether a column holds strings."""
    types = library().types
    return bool(types.is_string(type) or types.is_large_string(type) or types.is_string_view(type))


def is_vector(type: Any) -> bool:
    """Whether a column holds lists of numbers."""
    types = library().types
    is_list = types.is_list(type) or types.is_large_list(type) or types.is_fixed_size_list(type)
    return bool(is_list and types.is_floating(type.value_type))


def is_missing(value: Any) -> bool:
    """Whether a cell is empty; where numbers are missing, other programs write NaN."""
    return value is None or value != value


def plain(value: Any) -> Any:
    """A column's value as one that JSON has a type for: times in ISO 8601, bytes in base64."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return BYTES + base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else str(value)


def _values(column: Any) -> list[Any]:
    """The values of an array; strings that are not UTF-8 with surrogate escapes."""
    arrow = library()
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's own times count microseconds.
        column = column.cast(arrow.timestamp("us", column.type.tz), safe=False)
    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        if not is_text(column.type):
            raise
        raw = column.cast(arrow.large_binary()).to_pylist()
        found = [None if each is None else each.decode("utf-8", "surrogateescape") for each in raw]
    return found


def _vectors(column: Any) -> list[Vector | None]:
    """The lists of an array as float32, bit for bit where they are; None for no list and for an empty one."""
    arrow = library()
    lists = column.cast(arrow.large_list(arrow.float32()))
    values = lists.values.to_numpy(zero_copy_only=False)
    starts, present = lists.offsets.to_numpy(), lists.is_valid().to_numpy(zero_copy_only=False)
    return [
        np.array(values[start:end], np.float32) if there and end > start else None
        for start, end, there in zip(starts[:-1], starts[1:], present, strict=True)
    ]
