"""Checks of deals: dates, amounts and owners that cannot be right, and deals that nobody works on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from predictkpi.core import columns as c
from predictkpi.hygiene.base import Check, Result, deal_rows
from predictkpi.hygiene.books import CLOSED_AT, PUSHES, TOUCHED_AT, DealBooks

PUSHED_OFTEN = 3
UNTOUCHED_QUANTILE = 0.95
FEWEST_CLOSED = 30
FEWEST_IN_BULK = 10
FEWEST_DAYS = 20
BULK_ALPHA = 0.01
_OPEN_AMOUNT = "amount of the open deals"


class OverdueClose(Check):
    """Open deals that should have closed by now."""

    name = "overdue_close"
    title: ClassVar[dict[str, str]] = {"en": "Expected close date has passed", "de": "Erwarteter Abschluss überfällig"}
    looks_at = "open deals with an expected close date"
    at_stake = _OPEN_AMOUNT
    way_out = "close them, or agree on a new date"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """The day of the expected close lies before the day of ``as_of``."""
        dated = books.open[books.open[c.EXPECTED_CLOSE_ON].notna()]
        days = (books.snapshot.as_of.normalize() - dated[c.EXPECTED_CLOSE_ON].dt.normalize()).dt.days
        late = dated[days > 0]
        return self.result(
            deal_rows(late, days[days > 0].astype("str") + " days overdue"), examined=len(dated), threshold="1 day or more overdue"
        )


class WithoutAmount(Check):
    """Open deals that no forecast can count."""

    name = "without_amount"
    title: ClassVar[dict[str, str]] = {"en": "Open deal without an amount", "de": "Offener Deal ohne Betrag"}
    looks_at = "open deals"
    at_stake = "unknown: that is the trouble"
    way_out = "enter an estimate; the pipeline counts these deals as nothing"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """The amount is empty or zero."""
        empty = books.open[~(books.open[c.AMOUNT] > 0)]
        detail = empty[c.AMOUNT].isna().map({True: "amount is empty", False: "amount is 0"})
        return self.result(deal_rows(empty, detail), examined=len(books.open), threshold="amount empty or 0")


class WithoutOwner(Check):
    """Open deals that nobody answers for."""

    name = "without_owner"
    title: ClassVar[dict[str, str]] = {"en": "Open deal without an owner", "de": "Offener Deal ohne Verantwortlichen"}
    looks_at = "open deals"
    at_stake = _OPEN_AMOUNT
    way_out = "give each of them to a rep"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """The owner is empty."""
        owner = books.open[c.OWNER]
        nobody = books.open[owner.isna() | (owner == "")]
        return self.result(deal_rows(nobody, "owner is empty"), examined=len(books.open), threshold="owner empty")


class ClosedBeforeCreated(Check):
    """Deals whose dates run backwards. Ingest rejects most of them; here are those that a later correction made."""

    name = "closed_before_created"
    title: ClassVar[dict[str, str]] = {"en": "Created after it closed", "de": "Nach dem Abschluss angelegt"}
    looks_at = "closed deals with a creation date"
    at_stake = "amount of the closed deals"
    way_out = "correct the creation date; such deals have no duration"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """Created on a later day than the close; two times of one day may be a matter of how dates are kept."""
        dated = books.closed[books.closed[c.CREATED_AT].notna()]
        days = (dated[c.CREATED_AT].dt.normalize() - dated[CLOSED_AT].dt.normalize()).dt.days
        late = dated[days > 0]
        detail = "created " + days[days > 0].astype("str") + " days after the close"
        return self.result(deal_rows(late, detail), examined=len(dated), threshold="created on a later day than closed")


class BulkClosed(Check):
    """Deals closed together on one day: a clean-up of the CRM, whose close dates say nothing of the deals."""

    name = "bulk_closed"
    title: ClassVar[dict[str, str]] = {"en": "Closed in bulk on one day", "de": "Am selben Tag gesammelt geschlossen"}
    looks_at = "closed deals, by day of the close"
    at_stake = "amount of the closed deals"
    way_out = "restore the true close dates, or leave these deals out when cycle lengths are compared"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """Days with more closings than a negative binomial of the usual days makes credible; see `bulk_limit`."""
        day = books.closed[CLOSED_AT].dt.normalize()
        counts = day.value_counts().sort_index()
        limit = bulk_limit(counts)
        if limit is None:
            return self.result(
                deal_rows(books.closed.iloc[:0], ""),
                examined=len(day),
                threshold=f"needs {FEWEST_DAYS} days with closings; there are {len(counts)}",
            )
        on = day.map(counts)
        found = books.closed[on >= limit]
        detail = on[on >= limit].astype("str") + " deals closed on " + day[on >= limit].dt.strftime("%Y-%m-%d")
        usual = f"{limit} or more closings on one day (usual: {counts.median():.0f}; chance of one such day in all below {BULK_ALPHA:.0%})"
        return self.result(deal_rows(found, detail), examined=len(day), threshold=usual)


def bulk_limit(counts: pd.Series) -> int | None:
    """The least number of closings that makes a day unusual; None where there are too few days to know what is usual.

    Test: days with closings follow a negative binomial with the mean and variance of the usual days; a day is unusual where the chance of
    so many closings, times the number of days (Bonferroni), is below `BULK_ALPHA`, and there are `FEWEST_IN_BULK` or more. Which days are
    usual is found by repetition, from all but the highest twentieth, so that a bulk day does not excuse itself or another one.
    """
    if len(counts) < FEWEST_DAYS:
        return None
    values = counts.to_numpy(float)
    limit = float(np.quantile(values, 0.95)) + 1
    for _ in range(20):
        usual = values[values < limit]
        mean, variance = usual.mean(), usual.var(ddof=1)
        level = BULK_ALPHA / len(values)
        if variance > mean * 1.001:
            size = mean**2 / (variance - mean)
            new = float(stats.nbinom.isf(level, size, size / (size + mean))) + 1
        else:
            new = float(stats.poisson.isf(level, mean)) + 1
        new = max(new, FEWEST_IN_BULK)
        if new == limit:
            break
        limit = new
    return int(limit)


class PushedOften(Check):
    """Open deals whose close has been put off again and again."""

    name = "pushed_often"
    title: ClassVar[dict[str, str]] = {"en": "Close date pushed three times or more", "de": "Abschluss dreimal oder öfter verschoben"}
    looks_at = "open deals"
    at_stake = _OPEN_AMOUNT
    way_out = "ask whether the customer will buy at all; agree on a date with the customer, or close as lost"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """An event moved the expected close to a later instant, three times or more."""
        often = books.open[books.open[PUSHES] >= PUSHED_OFTEN]
        detail = "pushed " + often[PUSHES].astype("str") + " times"
        return self.result(deal_rows(often, detail), examined=len(books.open), threshold=f"moved later {PUSHED_OFTEN} times or more")


class Untouched(Check):
    """Open deals that have been left alone for longer than deals that came to an end were."""

    name = "untouched"
    title: ClassVar[dict[str, str]] = {"en": "Open, but untouched for long", "de": "Offen, aber lange unberührt"}
    looks_at = "open deals"
    at_stake = _OPEN_AMOUNT
    way_out = "take them up again, or close them as lost"
    entity = "deal"

    def run(self, books: DealBooks) -> Result:
        """No event or activity for longer than 95 % of the deals that have closed ever went without one."""
        silences = books.silences
        if len(silences) < FEWEST_CLOSED:
            rows = deal_rows(books.open.iloc[:0], "")
            return self.result(rows, examined=0, threshold=f"needs {FEWEST_CLOSED} closed deals; there are {len(silences)}")
        limit = float(silences.quantile(UNTOUCHED_QUANTILE))
        days = (books.snapshot.as_of - books.open[TOUCHED_AT]) / pd.Timedelta(days=1)
        left = books.open[days > limit]
        detail = "untouched for " + days[days > limit].round().astype("int64").astype("str") + " days"
        never = f"{UNTOUCHED_QUANTILE:.0%} of {len(silences)} closed deals never went that long"
        threshold = f"no event or activity for more than {limit:.0f} days: {never}"
        return self.result(deal_rows(left, detail), examined=len(books.open), threshold=threshold)
