"""The versions of a predictor as rows: what each is, what it learnt from, and what the gate said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predictkpi.registry import CHALLENGER, CHAMPION
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked
from predictkpi.service.registry_memory import Known
from predictkpi.service.version_records import Standing

ALIASES = {CHAMPION: marked("Champion"), CHALLENGER: marked("Challenger")}
_KINDS = {"model": marked("model"), "baseline": marked("baseline")}


@dataclass(frozen=True)
class Version:
    """One version. ``is_served``: this process answers from it, which may be some seconds behind the alias."""

    version: str
    aliases: list[str]
    is_champion: bool
    is_served: bool
    kind: str
    trained: str
    learnt_until: str
    status: str
    reason: str
    run_id: str


def version_of(row: Mapping[str, Any], *, served: str, zone: str = "UTC") -> Version:
    """From a row of `Registry.versions`, whose instants are UTC; they are told in the time ``zone``."""
    kind = str(row["kind"])
    return Version(
        version=row["version"],
        aliases=[_(ALIASES[alias]) if alias in ALIASES else alias for alias in row["aliases"]],
        is_champion=CHAMPION in row["aliases"],
        is_served=row["version"] == served,
        kind=_(_KINDS[kind]) if kind in _KINDS else kind,
        trained=f.moment(row["created_at"].tz_localize("UTC").tz_convert(zone)),
        learnt_until=f.date(pd.Timestamp(row["as_of"])) if row["as_of"] else f.MISSING,
        status=row["status"],
        reason=row["reason"],
        run_id=row["run_id"] or "",
    )


def age_of(known: Known[Standing]) -> str:
    """How old is what the page shows of the registry; empty where nothing was read."""
    if known.value is None:
        return ""
    return _("Read from the model registry {seconds} s ago.").format(seconds=f.number(known.age))
