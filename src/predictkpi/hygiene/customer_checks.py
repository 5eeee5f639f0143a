"""Checks of customers."""

from __future__ import annotations

import re
import unicodedata
from typing import ClassVar

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.hygiene.base import DETAIL, MONEY, Check, Result
from predictkpi.hygiene.books import DealBooks

LEGAL_FORMS = frozenset(
    {
        *("ab", "ag", "aps", "as", "bv", "co", "company", "corp", "corporation", "gbr", "gmbh"),
        *("inc", "incorporated", "kg", "kgaa", "limited", "llc", "llp", "ltd", "mbh", "nv", "ohg"),
        *("oy", "plc", "pty", "sa", "sarl", "se", "spa", "srl", "ug"),
    }
)


class DuplicateCustomers(Check):
    """Customers that are in the books more than once."""

    name = "duplicate_customers"
    title: ClassVar[dict[str, str]] = {"en": "Customer listed more than once", "de": "Kunde mehrfach angelegt"}
    looks_at = "customers with a name"
    at_stake = "net orders of these customers so far: their history is torn apart"
    way_out = "merge them in the CRM, or map one customer_id onto the other in `values`"
    entity = "customer"

    def run(self, books: DealBooks) -> Result:
        """The same name, as `normalised` spells it, under several customer ids."""
        customers = books.snapshot.customers.set_index(c.CUSTOMER_ID)
        key = customers[c.NAME].fillna("").map(normalised)
        key = key[key != ""]
        twice = key[key.duplicated(keep=False)]
        orders = books.snapshot.orders
        booked = orders.groupby(c.CUSTOMER_ID)[c.AMOUNT].sum().reindex(twice.index).fillna(0.0)
        detail = twice.map(twice.value_counts()).astype("str") + " customers are called " + twice
        rows = pd.DataFrame({c.NAME: customers.loc[twice.index, c.NAME], MONEY: booked, DETAIL: detail}, index=twice.index)
        return self.result(rows, examined=len(key), threshold="same name but for case, accents, punctuation, word spacing and legal form")


def normalised(name: str) -> str:
    """The name without case, accents, punctuation, spacing and a legal form at its end: ``Müller & Söhne GmbH`` is ``muller sohne``."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(letter))
    words = re.sub(r"[^\w\s]|_", " ", plain.replace(".", "")).split()
    while len(words) > 1 and words[-1] in LEGAL_FORMS:
        words.pop()
    return " ".join(words)
