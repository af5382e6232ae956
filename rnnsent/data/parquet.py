"""Parquet tables, row by row, so that a file costs no more memory than it may: what it says of itself is bounded first.

Arrow decodes whole batches, and a batch can be anything: a text of a megabyte that stands once in a dictionary, in each
of its rows; a page that unpacks to gigabytes. So the sizes of its pages (`parquet_pages`) decide how many rows a batch
has, and cells become Python's own one row at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rnnsent.data.gzip_reader import FREE_BYTES, MAX_EXPANSION
from rnnsent.data.parquet_pages import Chunk, chunk_of, read_footer, require_small_footer
from rnnsent.errors import DataError

ROWS = 4096  # of a batch, or fewer
BATCH_BYTES = 64 << 20  # that a column of a batch may have, unless one row has more
AT_ONCE = 8 << 20  # bytes of a column that become Python's own together, which is faster
MAX_BATCHES = 1 << 20  # of a group of rows
MAX_CELL = 1 << 26  # bytes, as of a line of other tables
MAX_VALUES = 1 << 24  # of a column of lists in a group of rows


def parquet_file(path: Path, **how: Any) -> Any:
    """Return the Parquet file at `path`, opened.

    Args:
        path: the file.
        how: for pyarrow.

    Raises:
        DataError: if it is none, or pyarrow is not installed.
    """
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{path}: Parquet needs pyarrow: pip install 'rnnsent[parquet]'") from None
    try:
        require_small_footer(path)
        return parquet.ParquetFile(path, **how)
    except DataError:
        raise
    except Exception as error:  # pyarrow has no base for all that it raises
        raise DataError(f"{path}: not a Parquet file: {_reason(error)}") from None


def column_names(path: Path) -> tuple[str, ...]:
    """Return the names of the columns, of lists and records those of the whole.

    Raises:
        DataError: as `parquet_file`, or if two have the same name.
    """
    file = parquet_file(path)
    try:
        names = tuple(file.schema_arrow.names)
    except Exception as error:
        raise DataError(f"{path}: not a Parquet file: {_reason(error)}") from None
    known: set[str] = set()
    for name in names:
        if name in known:
            raise DataError(f"{path}: two columns are called {name!r}")
        known.add(name)
    return names


def parquet_rows(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the number of each row, from 1, and its cells in the `wanted` columns.

    Raises:
        DataError: with the row, if one cannot be read, or the file swells as no table does.
    """
    number = 0
    try:
        left = FREE_BYTES + MAX_EXPANSION * path.stat().st_size
        for batch in _batches(path, list(dict.fromkeys(wanted))):
            left -= sum(map(_weight, batch.columns))
            if left < 0:
                raise DataError(
                    f"{path}: row {number + 1}: refused: the file unpacks to more than {MAX_EXPANSION} times its size; "
                    "write it as CSV yourself if that is meant"
                )
            for name in wanted:
                _require_small_cells(f"{path}: row", number + 1, name, batch.column(name))
            for cells in zip(*(_cells(batch.column(name)) for name in wanted), strict=True):
                number += 1
                yield number, cells
    except DataError:
        raise
    except UnicodeDecodeError as error:
        given = error.object[error.start]
        raise DataError(f"{path}: row {number + 1}: is not UTF-8 text (byte 0x{given:02x})") from None
    except Exception as error:  # pyarrow has no base for all that it raises, and gives no promise which it is
        raise DataError(f"{path}: row {number + 1}: cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _batches(path: Path, names: Sequence[str]) -> Iterator[Any]:
    """Yield the rows in batches of at most `ROWS`, each of bounded size."""
    plain = parquet_file(path)
    leaves = _leaves(plain, names)
    nested = [leaf for leaf, inside in leaves.items() if inside]
    # In lists a value that comes again and again stays one until its row is looked at.
    paths = [plain.metadata.schema.column(leaf).path for leaf in nested]
    file = parquet_file(path, metadata=plain.metadata, read_dictionary=paths) if nested else plain
    groups = read_footer(path)
    if {len(columns) for columns in groups} - {plain.metadata.num_columns} or len(groups) != plain.num_row_groups:
        raise DataError(f"{path}: not a Parquet file: its groups of rows are not those of its columns")
    stored = [plain.metadata.schema.column(leaf) for leaf in range(plain.metadata.num_columns)]
    names_of = [column.path for column in stored]
    levels = [(column.max_definition_level > 0) + (column.max_repetition_level > 0) for column in stored]
    with path.open("rb") as stream:
        for group, columns in enumerate(groups):
            rows = ROWS
            for leaf, inside in leaves.items():
                chunk = chunk_of(stream, columns[leaf], f"{path}: {names_of[leaf]}", levels[leaf])
                if inside and chunk.values > MAX_VALUES:
                    found = f"{names_of[leaf]} has {chunk.values:,} values in one group of rows"
                    raise DataError(f"{path}: refused: {found}, {MAX_VALUES:,} are allowed in lists and records")
                if not inside:
                    longest = _longest(path, plain.metadata, group, leaf, chunk)
                    rows = min(rows, _rows_of(chunk, longest, f"{path}: {names_of[leaf]}"))
            yield from file.iter_batches(rows, row_groups=[group], columns=list(names))


def _leaves(file: Any, names: Sequence[str]) -> dict[int, bool]:
    """Return the columns as they are stored that make up those of `names`: whether each is part of a list or record."""
    asked = set(names)
    found = {}
    for leaf in range(file.metadata.num_columns):
        column = file.metadata.schema.column(leaf)
        whole = column.path in asked
        if whole or any(column.path.startswith(f"{name}.") for name in asked):
            found[leaf] = not whole or column.max_repetition_level > 0
    return found


def _longest(path: Path, metadata: Any, group: int, leaf: int, chunk: Chunk) -> int:
    """Return how many bytes a value from the dictionary of a column can have."""
    column = metadata.schema.column(leaf)
    if column.physical_type != "BYTE_ARRAY":
        return max(int(column.length), 16)
    if chunk.dictionary * ROWS <= BATCH_BYTES or not chunk.begins_with_dictionary:
        return chunk.dictionary
    import pyarrow as arrow
    import pyarrow.compute as compute

    file = parquet_file(path, metadata=metadata, read_dictionary=[column.path])
    batch = next(file.iter_batches(1, row_groups=[group], columns=[column.path]))
    if not arrow.types.is_dictionary(batch.column(0).type):  # one of a type of its own, such as JSON
        return chunk.dictionary
    values = batch.column(0).dictionary
    return int(min(compute.max(compute.binary_length(values)).as_py() or 0, chunk.dictionary))


def _rows_of(chunk: Chunk, longest: int, where: str) -> int:
    """Return how many rows of a column may be decoded at a time.

    Raises:
        DataError: if they would be few, and the rows many: nobody would wait for it.
    """
    rows = max(min(ROWS, BATCH_BYTES // max(longest, chunk.prefixed, 1)), 1)
    if chunk.values > MAX_BATCHES * rows:
        raise DataError(f"{where}: refused: {chunk.values:,} values in a group of rows, and one of {longest:,} bytes")
    ends = np.cumsum([values for values, _ in chunk.pages], dtype=np.int64)
    sizes = np.cumsum([0, *(size for _, size in chunk.pages)])
    while rows > 1:
        # Of batches that begin in a page, wherever: by pages, which are there, and not by rows, which are claimed.
        behind = np.minimum(np.searchsorted(ends, ends + rows - 2, "right") + 1, len(ends))
        if (sizes[behind] - sizes[:-1]).max(initial=0) <= BATCH_BYTES:
            break
        rows = max(rows // 8, 1)
    return rows


def _weight(column: Any) -> int:
    """Return how many bytes the cells of a column have, each counted as often as it stands there."""
    import pyarrow as arrow
    import pyarrow.compute as compute

    if not arrow.types.is_dictionary(column.type):
        return int(column.nbytes)
    values, own = column.dictionary, column.indices.nbytes
    if not len(values) or not _is_text(values.type):
        return int(own)
    lengths = compute.take(compute.cast(compute.binary_length(values), arrow.int64()), column.indices)
    return int(own + (compute.sum(lengths).as_py() or 0))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    texts = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    return any(each(kind) for each in texts)


def _require_small_cells(where: str, first: int, name: str, column: Any) -> None:
    """Refuse a cell that is larger than one of another table may be."""
    import pyarrow as arrow
    import pyarrow.compute as compute

    column = getattr(column, "storage", column)  # of a type of its own
    if _is_text(column.type):
        lengths = compute.binary_length(column)
        if (compute.max(lengths).as_py() or 0) > MAX_CELL:
            row = compute.index(compute.greater(lengths, MAX_CELL), True).as_py()
            size = lengths[row].as_py()
            raise DataError(f"{where} {first + row}: {name} has {size:,} bytes, {MAX_CELL:,} are allowed")
    elif arrow.types.is_nested(column.type) and _nested_weight(column) > MAX_CELL:
        for row in range(len(column)):
            size = _nested_weight(column.slice(row, 1))
            if size > MAX_CELL:
                raise DataError(f"{where} {first + row}: {name} has a list of {size:,} bytes, {MAX_CELL:,} are allowed")


def _nested_weight(column: Any) -> int:
    """Return about how many bytes lists and records have as Python's own."""
    import pyarrow as arrow
    import pyarrow.compute as compute

    own = 64 * len(column)
    if arrow.types.is_dictionary(column.type):
        values = column.dictionary
        longest = compute.max(compute.binary_length(values)).as_py() if _is_text(values.type) else 0
        return own + len(column) * (longest or 0)
    if arrow.types.is_struct(column.type):
        return own + sum(map(_nested_weight, column.flatten()))
    if arrow.types.is_nested(column.type):
        return own + _nested_weight(column.flatten())
    return own + int(column.nbytes)


def _cells(column: Any) -> Iterator[Any]:
    """Yield the cells as Python's own, made when they are asked for where they are large."""
    import pyarrow as arrow

    if not arrow.types.is_dictionary(column.type):
        found: Iterator[Any] = (cell.as_py() for cell in column)
        if column.nbytes <= AT_ONCE and not arrow.types.is_nested(column.type):
            with suppress(Exception):  # which is raised again by the cell that it is of
                found = iter(column.to_pylist())
        yield from found
        return
    known: dict[int, Any] = {}
    for index in column.indices.to_pylist():
        if index is None:
            yield None
            continue
        if index not in known:
            known[index] = column.dictionary[index].as_py()
        yield known[index]
