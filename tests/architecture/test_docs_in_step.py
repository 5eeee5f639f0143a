"""Documentation that names settings, tables and KPIs is held in step with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from predictkpi.kpis import get_kpi, kpi_names
from predictkpi.predictors import predictor_names
from predictkpi.settings import Settings
from predictkpi.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def _text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_configuration__lists_every_setting_and_no_other():
    listed = set(re.findall(r"^\| `(\w+)` \|", _text("configuration.md"), flags=re.MULTILINE))
    assert listed == set(Settings.model_fields)


def test_configuration__states_the_defaults():
    for name, field in Settings.model_fields.items():
        row = next(line for line in _text("configuration.md").splitlines() if line.startswith(f"| `{name}`"))
        assert f"`{field.default}`" in row


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_mapping_page__lists_every_column_of_the_table(table):
    page = _text("mapping.md")
    section = page.split(f"### {table.name}\n")[1].split("\n### ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)) == set(table.column_names)


def test_kpi_page__lists_every_kpi():
    assert set(re.findall(r"^\| `(\w+)` \|", _text("kpis.md"), flags=re.MULTILINE)) == set(kpi_names())


@pytest.mark.parametrize("name", kpi_names())
def test_kpi_page__says_of_each_kpi_what_its_class_says(name):
    row = next(line for line in _text("kpis.md").splitlines() if line.startswith(f"| `{name}` |"))
    kpi, cells = get_kpi(name), [cell.strip() for cell in row.strip("|").split("|")]
    always = {"M": " (always by month)", "Q": " (always by fiscal quarter)", None: ""}[kpi.fixed_freq]
    title = f"{kpi.title['en']} · {kpi.title['de']}"
    assert cells[1:] == [title, kpi.unit, kpi.better, kpi.counts, kpi.formula + always, ", ".join(kpi.dimensions)]


def test_models_folder__has_one_file_a_predictor_and_the_rules():
    assert {path.stem for path in (ROOT / "models").glob("*.yaml")} == {
        *predictor_names(),
        "evaluation",
        "search",
        "targets",
        "alerts",
        "outlook",
        "monitor",
        "webhooks",
        "retention",
    }


def test_decisions__are_numbered_without_gaps():
    numbers = sorted(int(path.name[:4]) for path in (DOCS / "decisions").glob("*.md"))
    assert numbers == list(range(len(numbers)))


def test_links__between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
