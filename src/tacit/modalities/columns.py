"""Tables from files and data frames, with errors that name the file and the column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import DataError
from tacit.modalities.delimited import check_delimiter, check_utf8
from tacit.modalities.looking import path_of

TABLES = (".csv", ".tsv", ".parquet")
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def is_frame(data: Any) -> bool:
    """Whether ``data`` is a table of pandas, polars or PyArrow; none of them is imported."""
    return type(data).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow") and hasattr(data, "columns")


def read_table(
    data: Any,
    delimiter: str | None = None,
    columns: list[str] | None = None,
    missing: Sequence[str] = (),
    decimal: str = ".",
) -> Any:
    """A table as ``pyarrow.Table``.

    Args:
        data: a path to ``.csv``, ``.tsv`` or ``.parquet``, or a table of pandas, polars or PyArrow.
        delimiter: between the columns of a text file; by its ending otherwise.
        columns: only these.
        missing: what stands for nothing in a text file, besides ``MISSING``.
        decimal: mark of a text file's fractions.

    Raises:
        DataError: if it is missing, empty, damaged, of another encoding than UTF-8 or has rows of different lengths; or
            if a text file seems to have another delimiter.
    """
    import pyarrow as pa

    path = path_of(data)
    if path is None:
        try:
            if isinstance(data, pa.Table):
                table = data
            elif hasattr(data, "to_arrow"):
                table = data.to_arrow()
            else:
                table = pa.Table.from_pandas(data, preserve_index=False)
        except pa.ArrowException as error:  # cells of several types in one column; the message names it
            raise DataError(f"the table cannot be read: {_reason(error)}") from None
        return _with_columns(table, "the table", columns)
    if not path.is_file():
        raise DataError(f"there is no file '{path}'")
    if not path.stat().st_size:
        raise DataError(f"'{path}' is empty; it should be a table with a row of column names")
    try:
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            table = parquet.read_table(path)
            index = [name for name in table.column_names if re.fullmatch(r"__index_level_\d+__", name)]
            table = table.drop_columns(index)  # row labels of pandas
        else:
            check_utf8(path)
            table = _read_text(path, delimiter, missing, decimal)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read '{path}': {_reason(error)}") from None
    return _with_columns(table, f"'{path}'", columns)


MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?")
"""What stands for nothing in a text file."""


def _read_text(path: Path, delimiter: str | None, missing: Sequence[str], decimal: str) -> Any:
    import pyarrow as pa
    from pyarrow import csv

    parse, convert = _text_options(path, delimiter, missing, decimal)
    try:
        table = csv.read_csv(path, parse_options=parse, convert_options=convert)
        names = table.column_names
        bytes_in = next((field.name for field in table.schema if pa.types.is_binary(field.type)), None)
        if bytes_in is not None:
            raise DataError(f"cannot read '{path}': column '{bytes_in}' is not UTF-8 text; save it in that encoding")
    except pa.ArrowInvalid:
        with open(path, encoding="utf-8") as file:
            header = file.readline().strip()
        if parse.delimiter not in header:
            check_delimiter(path, [header])
        raise
    check_delimiter(path, names, [] if len(names) > 1 else table[0][:20].to_pylist())
    return table


def _text_options(
    path: Path, delimiter: str | None, missing: Sequence[str] = (), decimal: str = "."
) -> tuple[Any, Any]:
    from pyarrow import csv

    between = delimiter or DELIMITERS.get(path.suffix.lower(), ",")
    return csv.ParseOptions(delimiter=between), csv.ConvertOptions(
        null_values=[*MISSING, *missing], strings_can_be_null=True, decimal_point=decimal
    )


Rows = Callable[[list[str]], Iterator[Any]]
"""Named columns of a table as ``pyarrow.RecordBatch``, some rows at a time."""


def stream_table(data: Any, delimiter: str | None = None, rows: int = 1 << 17) -> tuple[Any, Rows]:
    """A table of any size, read a part at a time.

    Args:
        data: see :func:`read_table`.
        delimiter: between the columns of a text file; by its ending otherwise. Types of columns are told from the
            first 16 MiB of such a file.
        rows: at most so many at a time.

    Returns:
        the ``pyarrow.Schema``, and what gives the rows of some columns; a file is open only while it is being read.

    Raises:
        DataError: as :func:`read_table`; for what is damaged further on, when that is read.
    """
    import pyarrow as pa

    path = path_of(data)
    if path is None:
        table = read_table(data)
        return table.schema, lambda columns: iter(table.select(columns).to_batches(rows))
    if not path.is_file():
        raise DataError(f"there is no file '{path}'")
    if not path.stat().st_size:
        raise DataError(f"'{path}' is empty; it should be a table with a row of column names")
    try:
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                _check_names(file.schema_arrow.names, f"'{path}'")
                return file.schema_arrow, lambda columns: _parts_of_parquet(path, columns, rows)
        check_utf8(path)
        with _text_reader(path, delimiter) as reader:
            check_delimiter(path, reader.schema.names)
            _check_names(reader.schema.names, f"'{path}'")
            return reader.schema, lambda columns: _parts_of_text(path, columns, delimiter)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read '{path}': {_reason(error)}") from None


def _text_reader(path: Path, delimiter: str | None) -> Any:
    from pyarrow import csv

    parse, convert = _text_options(path, delimiter)
    return csv.open_csv(path, csv.ReadOptions(block_size=1 << 24), parse_options=parse, convert_options=convert)


def _parts_of_text(path: Path, columns: list[str], delimiter: str | None) -> Iterator[Any]:
    import pyarrow as pa

    try:
        with _text_reader(path, delimiter) as reader:
            for batch in reader:
                yield batch.select(columns)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read '{path}': {_reason(error)}") from None


def _parts_of_parquet(path: Path, columns: list[str], rows: int) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(rows, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read '{path}': {_reason(error)}") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Empty CSV" in text:
        return "it has no lines with text; it should be a table with a row of column names"
    if "UTF8" in text or "utf-8" in text:
        return "it is not UTF-8 text; save it in that encoding"
    return text or type(error).__name__


def _with_columns(table: Any, where: str, columns: list[str] | None) -> Any:
    if not table.num_rows:
        raise DataError(f"{where} has no rows")
    _check_names(table.column_names, where)
    check_columns(table, where, columns or ())
    return table.select(columns) if columns else table


def _check_names(names: list[str], where: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{where} has several columns named '{twice[0]}'; give each a name of its own")


def check_columns(table: Any, where: str, names: Any) -> None:
    """Make sure that a table has these columns.

    Raises:
        DataError: naming the first that it has not, and those that it has.
    """
    for name in names:
        if name not in table.column_names:
            raise DataError(f"{where} has no column '{name}'; it has {', '.join(table.column_names[:20])}")


def numbers(table: Any, name: str, where: str) -> np.ndarray:
    """A column as float64 ``[rows]``, NaN where it is empty.

    Raises:
        DataError: naming the column, if it holds no numbers, or infinite ones.
    """
    import pyarrow as pa

    column = table[name]
    kind = column.type
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    elif pa.types.is_null(kind):
        raise DataError(f"{where}: column '{name}' is empty")
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        row, first = _no_number(column)
        raise DataError(f"{where}: column '{name}' is not numeric (it holds {kind}, e.g. '{first[:40]}' in row {row})")
    values = column.cast(pa.float64()).to_numpy()
    values = np.asarray(values, dtype=np.float64)
    if np.isinf(values).any():
        raise DataError(f"{where}: column '{name}' holds infinite numbers (row {int(np.isinf(values).argmax()) + 1})")
    return values


def _no_number(column: Any) -> tuple[int, str]:
    """The first value that is no number, and in which row (from 1) it is."""
    found = ((row, str(value)) for row, value in enumerate(column.to_pylist(), 1) if value is not None)
    first = next(found, (1, ""))
    for row, text in (first, *found):
        try:
            float(text)
        except ValueError:
            return row, text
    return first


def codes(table: Any, name: str, where: str) -> tuple[np.ndarray, list[str]]:
    """A column's values as codes, int64 ``[rows]``, and the values in words, in order of first appearance.

    Raises:
        DataError: naming the column, if something is missing in it.
    """
    encoded = table[name].combine_chunks().dictionary_encode()
    if encoded.null_count:
        raise DataError(f"{where}: column '{name}' has {encoded.null_count} empty cells, and every row needs one")
    if hasattr(encoded, "combine_chunks"):
        encoded = encoded.combine_chunks()
    return encoded.indices.to_numpy().astype(np.int64), [str(value) for value in encoded.dictionary.to_pylist()]


def is_time(table: Any, name: str) -> bool:
    """Whether a column holds dates or times."""
    import pyarrow as pa

    kind = table[name].type
    return bool(pa.types.is_temporal(kind))


def times(table: Any, name: str, where: str) -> np.ndarray:
    """A column of times as float64 seconds, or of numbers as they are: ``[rows]``.

    Raises:
        DataError: naming the column, if it holds neither or if something is missing in it.
    """
    import pyarrow as pa

    column = table[name]
    if column.null_count:
        raise DataError(f"{where}: column '{name}' has {column.null_count} empty cells, and every row needs a time")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy().astype(np.float64) / 1e6
    if pa.types.is_time(column.type) or pa.types.is_duration(column.type):
        return column.cast(pa.int64()).to_numpy().astype(np.float64)
    return numbers(table, name, where)
