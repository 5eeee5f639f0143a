from __future__ import annotations

import gzip
import zipfile

import pandas as pd
import pytest

from predictkpi.errors import SourceError
from predictkpi.sources import read_file
from predictkpi.sources.mapping import Reading


def read(folder, name, *, sheet=None, **reading):
    return read_file(folder, name, sheet=sheet, reading=Reading(**reading))


def test_csv__row_numbers_are_those_of_a_reader_and_nothing_is_guessed(tmp_path):
    (tmp_path / "a.csv").write_text('id,note\n001,NA\n\n"2",\n,\n3,"two\nlines"\n4,x,y\n5\n6,last\n')
    raw = read(tmp_path, "a.csv")
    assert raw.frame["id"].to_dict() == {2: "001", 4: "2", 6: "3", 9: "6"}
    assert raw.frame["note"].iloc[0] == "NA"
    assert raw.frame["note"].isna().tolist() == [False, True, False, False]
    assert raw.bad["value"].to_dict() == {7: "4,x,y", 8: "5"}
    assert raw.bad["reason"].tolist() == ["3 fields where the header has 2", "1 fields where the header has 2"]


def test_csv__gz_bom_and_semicolons(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("\ufeffid;näme\n1;ö\n".encode()))
    assert read(tmp_path, "a.csv.gz", delimiter=";").frame.to_dict("list") == {"id": ["1"], "näme": ["ö"]}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252"])
def test_csv__other_encodings_when_stated(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("id,name\n1,Müller\n".encode(encoding))
    assert read(tmp_path, "a.csv", encoding=encoding).frame["name"].tolist() == ["Müller"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,name\n1,Meier\n2,Müller\n".encode("latin-1"), r"not utf-8: byte 19 \(0xfc\) in line 3 .* state encoding: latin-1"),
        ("id,name\n1,x\n".encode("utf-16"), "state encoding: utf-16"),
        (b"", "not even a header"),
        (b"\n\n", "not even a header"),
        (b"\nid,name\n1,x", "first line is blank"),
        (b"id,name\n", "no rows below its header"),
        (b"id,name\n\n,\n", "no rows below its header"),
        (b"id,name,id\n1,2,3\n", "the header names 'id' more than once"),
    ],
)
def test_csv__that_cannot_be_read(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.csv: .*{message}"):
        read(tmp_path, "a.csv")


def test_csv__header_cell_without_end(tmp_path):
    (tmp_path / "a.csv").write_text('id,"' + "x\n" * 100_000)
    with pytest.raises(SourceError, match=r"a\.csv: the header cannot be read: field larger than field limit"):
        read(tmp_path, "a.csv")


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml"])
@pytest.mark.parametrize("broken", [lambda xml: xml[: len(xml) // 2], lambda xml: xml.replace(b"<", b"<<", 9)], ids=["cut", "broken"])
def test_excel__with_damaged_xml(tmp_path, part, broken):
    pd.DataFrame({"id": range(50)}).to_excel(tmp_path / "good.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "good.xlsx") as good, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as bad:
        for name in good.namelist():
            bad.writestr(name, broken(good.read(name)) if name == part else good.read(name))
    with pytest.raises(SourceError, match=r"a\.xlsx: no valid Excel workbook"):
        read(tmp_path, "a.xlsx")


def test_excel__names_the_other_sheets_where_the_first_is_empty(tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame().to_excel(book, sheet_name="Cover", index=False)
        pd.DataFrame({"id": [1]}).to_excel(book, sheet_name="Deals", index=False)
    with pytest.raises(SourceError, match=r"the sheet 'Cover' is empty: .*other sheets, to state as sheet: 'Deals'"):
        read(tmp_path, "a.xlsx")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet", "a.xlsx"])
def test_files__damaged(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(SourceError, match=name):
        read(tmp_path, name)


def test_files__missing_or_of_another_kind(tmp_path):
    (tmp_path / "orders.csv").write_text("a\n1\n")
    (tmp_path / "a.xls").write_text("x")
    with pytest.raises(SourceError, match=r"no file 'order.csv' .*did you mean 'orders.csv'"):
        read(tmp_path, "order.csv")
    with pytest.raises(SourceError, match=r"save it as \.csv"):
        read(tmp_path, "a.xls")
    with pytest.raises(SourceError, match=r"no folder '.*nowhere'"):
        read(tmp_path / "nowhere", "a.csv")


def test_parquet__keeps_types_and_whole_numbers_with_gaps(tmp_path):
    frame = pd.DataFrame(
        {
            "id": pd.array([17, None, 18446744073], dtype="Int64"),
            "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
            "kind": pd.Categorical(["a", None, "b"]),
            "ok": [True, False, True],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path, "a.parquet").frame
    assert found.index.tolist() == [2, 3, 4]
    assert found["id"].astype("str").tolist()[0] == "17"
    assert found["day"].dtype == "datetime64[us]"
    assert found["kind"].dropna().tolist() == ["a", "b"]


def test_parquet__nested_columns_are_refused(tmp_path):
    pd.DataFrame({"a": [[1, 2]]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet: a: cannot read values of type list"):
        read(tmp_path, "a.parquet")


def test_excel__sheets_blank_rows_and_types(tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as book:
        pd.DataFrame({"id": [1, None, 2], "day": [pd.Timestamp("2024-01-01"), pd.NaT, pd.Timestamp("2024-01-02 10:00")]}).to_excel(
            book, sheet_name="Deals", index=False
        )
        pd.DataFrame({"x": []}).to_excel(book, sheet_name="Empty", index=False)
    found = read(tmp_path, "a.xlsx").frame
    assert found.index.tolist() == [2, 4]
    assert found["day"].tolist() == [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-02 10:00")]
    with pytest.raises(SourceError, match=r"no sheet 'Deal' \(did you mean 'Deals'\?\)"):
        read(tmp_path, "a.xlsx", sheet="Deal")
    with pytest.raises(SourceError, match="no rows below its header"):
        read(tmp_path, "a.xlsx", sheet="Empty")
