"""Tables for people, spreadsheets and machines."""

import csv
from pathlib import Path

import pytest

from bandit_nba.report.table import Column, Table, inert, number, percent, write_csv

HOSTILE = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "\u00a0=1", "＝1", "＠SUM"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_formula(text: str) -> None:
    assert inert(text) == f"'{text}"


def test_numbers_stay_numbers_and_what_is_not_known_stays_empty(tmp_path: Path) -> None:
    table = Table(
        "t", "T", "", [Column("=name"), Column("x", "value")], [["@a", -0.5], ["b", None], ["c", float("nan")]]
    )

    (path,) = write_csv([table], tmp_path / "tables")

    with path.open(newline="") as file:
        assert list(csv.reader(file)) == [["'=name", "x"], ["'@a", "-0.5"], ["b", ""], ["c", ""]]
    assert table.for_machines() == [{"name": "@a", "x": -0.5}, {"name": "b", "x": None}, {"name": "c", "x": None}]


def test_a_name_holds_together_where_semicolons_part_cells(tmp_path: Path) -> None:
    table = Table("t", "T", "", [Column("name"), Column("x", "value")], [["a;=1+1", 2.5]])

    (path,) = write_csv([table], tmp_path)

    with path.open(newline="") as file:
        assert not any(cell.startswith("=") for row in csv.reader(file, delimiter=";") for cell in row)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.12345, "0.123"), (0.0012345, "0.00123"), (12.345, "12.3"), (12_345.6, "12,346"), (-0.5, "-0.500")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_shares_are_whole_per_cents_from_ten_on() -> None:
    assert [percent(x) for x in (0.0, 0.004, 0.0994, 0.0996, 0.5)] == ["0 %", "0.4 %", "9.9 %", "10 %", "50 %"]
    assert percent(0.05, signed=True) == "+5.0 %"


def test_policies_stand_beside_each_other_for_people() -> None:
    columns = [Column("segment"), Column("policy")]
    columns += [Column(name, "value") for name in ("estimate", "from", "to")]
    rows = [["young", "A", 0.5, 0.4, 0.6], ["young", "B", 0.25, None, None], ["old", "A", None, None, None]]

    shown = Table("t", "T", "", columns, rows, beside=["A", "B"]).for_people()

    assert shown.columns == ["segment", "A", "B"]
    assert shown.rows == [["young", "0.500 (0.400 to 0.600)", "0.250"], ["old", "–", "–"]]
