"""The KPIs of a sales organisation, one small class each. `KPIS` is the one catalogue: one dotted name per line, and no second list."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from predictkpi.errors import UnknownNameError
from predictkpi.kpis.base import Kpi

__all__ = ["KPIS", "Kpi", "get_kpi", "kpi_names"]

KPIS = (
    "predictkpi.kpis.revenue.Revenue",
    "predictkpi.kpis.revenue.RevenueNewCustomers",
    "predictkpi.kpis.revenue.RevenueExistingCustomers",
    "predictkpi.kpis.revenue.RevenueGrowthMom",
    "predictkpi.kpis.revenue.RevenueGrowthQoq",
    "predictkpi.kpis.revenue.RevenueGrowthYoy",
    "predictkpi.kpis.revenue.RevenueCagr",
    "predictkpi.kpis.cac.NewCustomers",
    "predictkpi.kpis.cac.AcquisitionSpend",
    "predictkpi.kpis.cac.Cac",
    "predictkpi.kpis.cac.CacLagged",
    "predictkpi.kpis.returns.CacPayback",
    "predictkpi.kpis.clv.ClvRealised",
    "predictkpi.kpis.returns.LtvToCac",
    "predictkpi.kpis.loyalty.RepeatPurchaseRate",
    "predictkpi.kpis.loyalty.ChurnRate",
    "predictkpi.kpis.sales_cycle.SalesCycleMean",
    "predictkpi.kpis.sales_cycle.SalesCycleMedian",
    "predictkpi.kpis.stages.TimeInStage",
    "predictkpi.kpis.stages.StageConversion",
    "predictkpi.kpis.pipeline.WinRate",
    "predictkpi.kpis.pipeline.WinRateAmount",
    "predictkpi.kpis.pipeline.AverageDealSize",
    "predictkpi.kpis.velocity.SalesVelocity",
    "predictkpi.kpis.pipeline.OpenPipeline",
    "predictkpi.kpis.coverage.PipelineCoverage",
    "predictkpi.kpis.pipeline.SlipRate",
)


@cache
def _catalogue() -> dict[str, Kpi]:
    parts = [dotted.rpartition(".") for dotted in KPIS]
    kpis: list[Kpi] = [getattr(import_module(module), class_name)() for module, _, class_name in parts]
    return {kpi.name: kpi for kpi in kpis}


def kpi_names() -> tuple[str, ...]:
    """Names in catalogue order."""
    return tuple(_catalogue())


def get_kpi(name: str) -> Kpi:
    """The KPI of that name; `UnknownNameError` lists the catalogue. A KPI holds no state: the same object every time."""
    if name not in _catalogue():
        raise UnknownNameError.among("KPI", name, known=_catalogue())
    return _catalogue()[name]
