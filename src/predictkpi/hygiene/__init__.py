"""The state of the books: checks that list what cannot be right, with count and money. `CHECKS` is the one catalogue."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from predictkpi.errors import UnknownNameError
from predictkpi.hygiene.base import Check, Result
from predictkpi.hygiene.books import DealBooks

__all__ = ["CHECKS", "Check", "DealBooks", "Result", "check_names", "get_check"]

CHECKS = (
    "predictkpi.hygiene.deal_checks.OverdueClose",
    "predictkpi.hygiene.deal_checks.WithoutAmount",
    "predictkpi.hygiene.deal_checks.WithoutOwner",
    "predictkpi.hygiene.deal_checks.ClosedBeforeCreated",
    "predictkpi.hygiene.deal_checks.BulkClosed",
    "predictkpi.hygiene.deal_checks.PushedOften",
    "predictkpi.hygiene.deal_checks.Untouched",
    "predictkpi.hygiene.customer_checks.DuplicateCustomers",
    "predictkpi.hygiene.field_checks.LeakingFields",
)


@cache
def _catalogue() -> dict[str, Check]:
    parts = [dotted.rpartition(".") for dotted in CHECKS]
    checks: list[Check] = [getattr(import_module(module), class_name)() for module, _, class_name in parts]
    return {check.name: check for check in checks}


def check_names() -> tuple[str, ...]:
    """Names in catalogue order."""
    return tuple(_catalogue())


def get_check(name: str) -> Check:
    """The check of that name; `UnknownNameError` lists the catalogue."""
    if name not in _catalogue():
        raise UnknownNameError.among("check", name, known=_catalogue())
    return _catalogue()[name]
