"""The German example mapping on small files of the kind that it describes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from predictkpi.pipelines.ingest import ingest
from predictkpi.store import Store

MAPPING = Path(__file__).parents[3] / "examples" / "german-export.yaml"
DEALS = """Nr;Kunde;Angelegt;Geändert;Phase;Wert;Abschluss erwartet;Betreuer
1;Müller;13.01.2024;13.01.2024 09:30;Angebot;1.234.567,50;31.03.2024;Jörg
1;Müller;13.01.2024;02.02.2024 10:00;Gewonnen;1.200.000;;Jörg
2;Groß;05.01.2024;06.02.2024 08:00;Verloren;950,5;;Jörg
"""


def test_german_example__loads(tmp_path):
    (tmp_path / "verkaufschancen.csv").write_text(DEALS, encoding="cp1252")
    orders = {"Auftrag": ["A1", "A2"], "Datum": [pd.Timestamp("2024-02-03"), "04.02.2024"], "Kunde": "Müller", "Netto": [10.5, "1.000,25"]}
    with pd.ExcelWriter(tmp_path / "auftraege.xlsx") as book:
        pd.DataFrame({"Hinweis": ["erstes Blatt"]}).to_excel(book, sheet_name="Info", index=False)
        pd.DataFrame(orders | {"Chance": ["1", None]}).to_excel(book, sheet_name="Aufträge", index=False)
    store = Store(f"sqlite:///{tmp_path}/facts.db")
    store.migrate()
    report = ingest(store, mapping=MAPPING, source=tmp_path, now=pd.Timestamp("2024-06-01"))
    assert report.rejects.empty
    assert report.warnings == []
    snapshot = store.snapshot()
    events = snapshot.deal_events.sort_values("ds")
    assert events["stage"].tolist() == ["Angebot", "won", "lost"]
    assert events["amount"].tolist() == [1_234_567.5, 1_200_000.0, 950.5]
    assert events["ds"].iloc[0] == pd.Timestamp("2024-01-13 09:30")
    assert events["expected_close_on"].iloc[0] == pd.Timestamp("2024-03-31")
    assert snapshot.deals["customer_id"].tolist() == ["Müller", "Groß"]
    assert snapshot.orders["amount"].tolist() == pytest.approx([10.5, 1000.25])
    assert snapshot.orders["ds"].tolist() == [pd.Timestamp("2024-02-03"), pd.Timestamp("2024-02-04")]
    store.close()
