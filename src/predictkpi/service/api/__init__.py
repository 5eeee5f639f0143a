"""The routes, one module a resource. `ROUTERS` is the list the app mounts."""

from __future__ import annotations

from predictkpi.service.api import (
    customer_value,
    customers,
    deals,
    forecasts,
    health,
    kpis,
    models,
    outlook,
    outlook_series,
    portfolio,
    scoreboard,
    watch,
)

__all__ = ["ROUTERS"]

ROUTERS = (
    kpis.router,
    watch.router,
    forecasts.router,
    outlook.router,
    outlook_series.router,
    customer_value.router,
    customers.router,
    portfolio.router,
    deals.router,
    models.router,
    scoreboard.router,
    health.router,
)
