"""The routes, one module a resource. `ROUTERS` is the list the app mounts, with what each asks of its callers."""

from __future__ import annotations

from predictkpi.core.access import Permission
from predictkpi.service.api import (
    account,
    customer_pages,
    customer_payloads,
    customer_value,
    customers,
    data,
    deal_pages,
    deals,
    forecasts,
    health,
    kpis,
    metrics,
    models,
    outlook,
    outlook_series,
    portfolio,
    scoreboard,
    targets,
    watch,
)

__all__ = ["ROUTERS"]

_NUMBERS, _ROWS, _TRUST = Permission.NUMBERS, Permission.ROWS, Permission.TRUST
ROUTERS = (
    (kpis.router, _NUMBERS),
    (watch.router, _NUMBERS),
    (targets.router, _NUMBERS),
    (forecasts.router, _NUMBERS),
    (outlook.router, _NUMBERS),
    (outlook_series.router, _NUMBERS),
    (customer_value.router, _NUMBERS),
    (customers.router, _ROWS),
    (customer_payloads.router, Permission.PREDICT),
    (portfolio.router, _ROWS),
    (deals.router, None),
    (customer_pages.router, _ROWS),
    (deal_pages.router, _ROWS),
    (models.router, _TRUST),
    (scoreboard.router, _TRUST),
    (metrics.router, Permission.METRICS),
    (data.router, None),
    (account.router, None),
    (health.router, None),
)
"""None: its routes say so themselves, or answer anybody.

An id may hold slashes, so an address of one deal or customer fits whatever lies below it too: the pages come after all of those.
"""
