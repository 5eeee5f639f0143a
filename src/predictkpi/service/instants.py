"""Instants in requests: ISO 8601 text only, within the years that a calendar of business needs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
FIRST_YEAR, LAST_YEAR = 1901, 2260
"""One year inside what a nanosecond clock can hold, so that no change of time zone leaves it."""


def _written_as_iso(value: object) -> object:
    # pydantic would take 20250101 or true for seconds since 1970
    if not isinstance(value, datetime) and not (isinstance(value, str) and _ISO_DATE.match(value)):
        raise ValueError("write an ISO 8601 date or instant such as 2025-11-20 or 2025-11-20T10:30:00+01:00")
    return value


def _within_reach(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"the year must lie between {FIRST_YEAR} and {LAST_YEAR}")
    return value


IsoInstant = Annotated[datetime, BeforeValidator(_written_as_iso), AfterValidator(_within_reach)]
"""A date (its first instant) or an instant, with an offset or in the company's local time."""
