"""The typer application: the list of commands and the options they share."""

from __future__ import annotations

from typing import Annotated

import typer

from predictkpi.cli import (
    alerts,
    changes,
    checks,
    customers,
    data,
    demo,
    engines,
    erasure,
    forecasts,
    keys,
    lifecycle,
    monitor,
    outlook,
    pipeline,
    promotion,
    reasons,
    retrain,
    scoreboard,
    serve,
    sync,
    targets,
    tune,
    webhooks,
    write_back,
)

_debug = False

app = typer.Typer(
    name="predictkpi",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Revenue growth, customer lifetime value and deal close time, learnt from your own sales history.\n\n"
    "Look around first: [bold]predictkpi demo[/bold] makes a sample company, trains and opens a dashboard.\n\n"
    "With your own data: [bold]ingest[/bold] → [bold]kpis[/bold] → [bold]train[/bold] → [bold]serve[/bold]. Settings come from "
    "PREDICTKPI_* variables and predictkpi.toml.",
)


def is_debugging() -> bool:
    """Whether ``--debug`` was given."""
    return _debug


@app.callback()
def options(debug: Annotated[bool, typer.Option("--debug", help="Show the Python trace of an error.")] = False) -> None:
    """Options before the command."""
    global _debug
    _debug = debug


GETTING_STARTED, DATA, MODELS, ANSWERS, OTHERS = "Get started", "Data and KPIs", "Models", "Predictions", "Other systems"
for command, panel in (
    (demo.demo, GETTING_STARTED),
    (serve.serve, GETTING_STARTED),
    (serve.version, GETTING_STARTED),
    (serve.openapi, ANSWERS),
    (data.ingest, DATA),
    (sync.sync, DATA),
    (data.rejects, DATA),
    (checks.doctor, DATA),
    (checks.readiness, DATA),
    (data.kpis, DATA),
    (targets.targets, DATA),
    (alerts.trends, DATA),
    (alerts.alerts, DATA),
    (erasure.erase, DATA),
    (erasure.retain, DATA),
    (lifecycle.train, MODELS),
    (lifecycle.evaluate, MODELS),
    (tune.tune, MODELS),
    (lifecycle.models, MODELS),
    (promotion.promote, MODELS),
    (promotion.rollback, MODELS),
    (promotion.audit, MODELS),
    (scoreboard.scoreboard, MODELS),
    (monitor.monitor, MODELS),
    (retrain.retrain, MODELS),
    (forecasts.forecast, ANSWERS),
    (outlook.outlook, ANSWERS),
    (pipeline.pipeline, ANSWERS),
    (customers.customers, ANSWERS),
    (customers.channels, ANSWERS),
    (changes.changes, ANSWERS),
    (reasons.reasons, ANSWERS),
    (forecasts.score, ANSWERS),
    (engines.export_facts, OTHERS),
    (write_back.write_back, OTHERS),
):
    app.command(rich_help_panel=panel)(command)
app.add_typer(keys.app, name="keys", rich_help_panel=GETTING_STARTED, help="API keys: who may use the service, and who has.")
app.add_typer(webhooks.app, rich_help_panel=OTHERS)
