"""Numbers and dates of the charts in the language of the context, as D3's locale definitions."""

from __future__ import annotations

from typing import Any

from babel.dates import get_day_names, get_month_names

from predictkpi.service.dashboard.formats import SCALES
from predictkpi.service.dashboard.languages import current

DAYS_FROM_SUNDAY = (6, 0, 1, 2, 3, 4, 5)


def vega_locale() -> dict[str, Any]:
    """``{"number": ..., "time": ...}`` for Vega-Embed's ``formatLocale`` and ``timeFormatLocale``."""
    locale = current().locale
    symbols = locale.number_symbols.get("latn", locale.number_symbols)
    days = {width: get_day_names(width, locale=locale) for width in ("wide", "abbreviated")}
    months = {width: get_month_names(width, "stand-alone", locale=locale) for width in ("wide", "abbreviated")}
    return {
        "number": {"decimal": symbols["decimal"], "thousands": symbols["group"], "grouping": [3], "currency": ["", ""], "minus": "\u2212"},
        "time": {
            "dateTime": "%x, %X",
            "date": "%d.%m.%Y" if current().code == "de" else "%d/%m/%Y",
            "time": "%H:%M:%S",
            "periods": ["AM", "PM"],
            "days": [days["wide"][day] for day in DAYS_FROM_SUNDAY],
            "shortDays": [days["abbreviated"][day] for day in DAYS_FROM_SUNDAY],
            "months": [months["wide"][month] for month in range(1, 13)],
            "shortMonths": [months["abbreviated"][month] for month in range(1, 13)],
        },
    }


def short_number(field: str = "datum.value") -> str:
    """A Vega expression that writes an amount short: 1.2 M."""
    billions, millions, thousands = SCALES[current().code]
    text = f"format({field}, '~s')"
    # from the smallest up: the words of the smaller ones hold no letter of the larger ones
    for letter, word in (("k", thousands), ("M", millions), ("G", billions)):
        if letter != word:
            text = f"replace({text}, '{letter}', '\u202f{word}')"
    return text
