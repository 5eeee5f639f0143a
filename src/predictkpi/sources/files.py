"""Files as frames: CSV, Parquet and Excel. Nothing is guessed and nothing is dropped; what cannot be a row comes back as a reject.

The index of every frame is the row's number as a reader of the file sees it: the header is row 1. CSV cells are all text; Parquet and
Excel cells keep their type. Rows without any value are no rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
import openpyxl.utils.exceptions
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from predictkpi.core import columns as c
from predictkpi.errors import SourceError
from predictkpi.sources.mapping import Reading, near

_FIRST_DATA_ROW = 2


@dataclass(frozen=True)
class RawFile:
    """A file's rows, and the lines that are none: ``bad`` has ``value`` and ``reason`` by row number."""

    name: str
    frame: pd.DataFrame
    bad: pd.DataFrame


def read_file(folder: Path, name: str, *, sheet: str | None, reading: Reading) -> RawFile:
    """Read one file; raises `SourceError` where it is absent, empty, damaged or in another encoding."""
    path = folder / name
    if not folder.is_dir():
        raise SourceError(f"no folder {str(folder)!r} to read {name!r} from")
    if not path.is_file():
        there = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
        raise SourceError(f"no file {name!r} in {folder}{near(name, there)}; there are: {', '.join(there) or 'no files'}")
    kinds: dict[str, Callable[[], RawFile]] = {
        ".csv": lambda: _read_csv(path, name, reading),
        ".parquet": lambda: _read_parquet(path, name),
        ".xlsx": lambda: _read_excel(path, name, sheet),
    }
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    suffix = ".csv" if suffix in (".tsv", ".txt") else suffix
    if suffix not in kinds:
        raise SourceError(f"{name}: cannot read files of type {path.suffix!r}; save it as .csv (or .csv.gz), .parquet or .xlsx")
    raw = kinds[suffix]()
    if raw.frame.empty and raw.bad.empty:
        raise SourceError(f"{name}: the file is empty: it has no rows below its header")
    return raw


def _read_csv(path: Path, name: str, reading: Reading) -> RawFile:
    data = _utf8(path, name, reading.encoding)
    if not data.strip():
        raise SourceError(f"{name}: the file is empty: it has not even a header")
    bad: list[tuple[int, str, str]] = []
    blank: list[int] = []

    def keep_bad(line: pa.csv.InvalidRow) -> str:
        if not line.text.strip('" \t\r\n' + reading.delimiter):  # only delimiters and quotes: no value at all
            blank.append(line.number)
        else:
            bad.append((line.number, line.text, f"{line.actual_columns} fields where the header has {line.expected_columns}"))
        return "skip"

    names = _csv_names(data, name, reading.delimiter)
    try:
        table = pa.csv.read_csv(
            io.BytesIO(data),
            read_options=pa.csv.ReadOptions(use_threads=False, block_size=1 << 24),
            parse_options=pa.csv.ParseOptions(
                delimiter=reading.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep_bad
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""], quoted_strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise SourceError(f"{name}: no valid CSV: {error}") from error
    gone = sorted([number for number, _, _ in bad] + blank)
    numbers = np.setdiff1d(np.arange(_FIRST_DATA_ROW, _FIRST_DATA_ROW + table.num_rows + len(gone)), gone, assume_unique=True)
    frame = table.to_pandas().set_axis(numbers)
    return RawFile(name, frame.dropna(how="all"), _bad_lines(bad))


def _bad_lines(bad: list[tuple[int, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(bad, columns=["row", c.VALUE, c.REASON]).set_index("row").astype("str")


def _utf8(path: Path, name: str, encoding: str) -> bytes:
    """The whole file as UTF-8 without byte order mark; raises `SourceError` that names byte and line where it is in another encoding."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{name}: cannot be read: {error}") from error
    is_utf8 = encoding.replace("-", "").replace("_", "").lower() in ("utf8", "utf8sig")
    try:
        text = data.decode(encoding)
        return data.removeprefix(b"\xef\xbb\xbf") if is_utf8 else text.removeprefix("\ufeff").encode()
    except (UnicodeDecodeError, UnicodeError) as error:
        at = getattr(error, "start", 0)
        line = data[:at].count(b"\n") + 1
        guess = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1 (or cp1252)"
        raise SourceError(
            f"{name}: not {encoding}: byte {at} (0x{data[at : at + 1].hex()}) in line {line} cannot be decoded; "
            f"if it was saved in a Western encoding, state encoding: {guess} in the mapping"
        ) from error


def _csv_names(data: bytes, name: str, delimiter: str) -> list[str]:
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    try:
        names = next(csv.reader(text, delimiter=delimiter), [])
    except csv.Error as error:
        raise SourceError(f"{name}: the header cannot be read: {error}; is a quotation mark left open?") from error
    if not names:
        raise SourceError(f"{name}: the first line is blank, but must be the header")
    return _unique_names(names, name)


def _unique_names(names: list[str], file: str) -> list[str]:
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise SourceError(f"{file}: the header names {', '.join(map(repr, twice))} more than once")
    return names


def _read_parquet(path: Path, name: str) -> RawFile:
    try:
        table = pa.parquet.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{name}: no valid Parquet: {error}") from error
    columns = {column: _from_arrow(table[column], f"{name}: {column}") for column in _unique_names(table.column_names, name)}
    frame = pd.DataFrame(columns, index=None)
    frame.index = frame.index + _FIRST_DATA_ROW
    return RawFile(name, frame.dropna(how="all"), _bad_lines([]))


def _from_arrow(values: pa.ChunkedArray, where: str) -> pd.Series:
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_null(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return values.cast(pa.large_string()).to_pandas().astype("str")
    if pa.types.is_integer(kind):
        return values.to_pandas(types_mapper={kind: pd.Int64Dtype()}.get) if kind != pa.uint64() else values.cast(pa.string()).to_pandas()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.float64()).to_pandas()
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).to_pandas()
    if pa.types.is_boolean(kind):
        return values.to_pandas().astype("object")
    raise SourceError(f"{where}: cannot read values of type {kind}; leave the column out of the file")


# Damage shows when the book is opened or only when its rows are read; the parsers of XML raise kinds of SyntaxError.
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    IndexError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    SyntaxError,
    openpyxl.utils.exceptions.InvalidFileException,
)


def _read_excel(path: Path, name: str, sheet: str | None) -> RawFile:
    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            if sheet is not None and sheet not in book.sheetnames:
                raise SourceError(f"{name}: no sheet {sheet!r}{near(sheet, book.sheetnames)}; there are: {', '.join(book.sheetnames)}")
            rows = [list(row) for row in book[sheet or book.sheetnames[0]].iter_rows(values_only=True)]
    except _DAMAGES as error:
        raise SourceError(f"{name}: no valid Excel workbook: {error}") from error
    if all(cell is None for row in rows[1:] for cell in row):
        what = "no rows below its header" if rows and any(cell is not None for cell in rows[0]) else "not even a header"
        read = sheet or book.sheetnames[0]
        others = ", ".join(repr(other) for other in book.sheetnames if other != read)
        raise SourceError(
            f"{name}: the sheet {read!r} is empty: it has {what}" + (f"; other sheets, to state as sheet: {others}" if others else "")
        )
    names = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    used = [number for number, column in enumerate(names) if column or any(len(row) > number and row[number] is not None for row in rows)]
    header = _unique_names([names[number] for number in used], name)
    cells = [[row[number] if number < len(row) else None for number in used] for row in rows[1:]]
    frame = pd.DataFrame(cells, columns=header, dtype="object")
    frame.index = frame.index + _FIRST_DATA_ROW
    return RawFile(name, frame.dropna(how="all"), _bad_lines([]))
