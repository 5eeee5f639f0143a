"""What the checks of the books find amiss with single deals. Looked for once a view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from predictkpi.core import columns as c
from predictkpi.hygiene import Check, check_names, get_check
from predictkpi.hygiene.base import CHECK, DETAIL
from predictkpi.pipelines.doctor import diagnose
from predictkpi.service.view import View


@dataclass(frozen=True)
class DealWarning:
    """One finding: by which check, and what it says of this deal."""

    check: Check
    detail: str


Warnings = Mapping[str, tuple[DealWarning, ...]]


def deal_warnings(view: View) -> Warnings:
    """By deal_id, of every deal with a finding, whoever asks; in the order of the catalogue."""
    return cast(Warnings, view.page("deal-warnings", _build, knows_targets=False))


def _build(view: View) -> Warnings:
    of_deals = [name for name in check_names() if get_check(name).entity == "deal"]
    findings = diagnose(view.snapshot, checks=of_deals).findings
    found: dict[str, tuple[DealWarning, ...]] = {}
    for name, deal_id, detail in zip(findings[CHECK], findings[c.ENTITY_ID], findings[DETAIL], strict=True):
        found[str(deal_id)] = (*found.get(str(deal_id), ()), DealWarning(get_check(str(name)), str(detail)))
    return found
