"""The sample company as files: what an export of its systems would be, with a mapping that keeps every version's ``known_at``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from predictkpi.core import columns as c
from predictkpi.synthetic.company import SampleCompany
from predictkpi.tables import TABLES

MAPPING_FILE = "mapping.yaml"


def write_company(company: SampleCompany, folder: Path) -> None:
    """Write one CSV for each table that has rows, and ``mapping.yaml``; ``folder`` is made if absent, files are overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    filled = [name for name in TABLES if len(company.tables[name])]
    for name in filled:
        company.tables[name].to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    last_day = company.end - pd.Timedelta(days=1)
    mapping = {
        "company": company.company.model_dump(exclude_none=True),
        "exported_at": f"{last_day:%Y-%m-%d}",
        "defaults": {"dates": {"format": "ISO8601", "time_zone": company.company.time_zone}},
        "feeds": [
            {
                "table": name,
                "file": f"{name}.csv",
                "columns": {column: column for column in TABLES[name].column_names},
                "known_at": c.KNOWN_AT,
            }
            for name in filled
        ],
    }
    text = "# The sample company: every column has the table's own name, and known_at tells the versions of a row apart.\n"
    (folder / MAPPING_FILE).write_text(text + yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
