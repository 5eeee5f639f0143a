"""`predictkpi demo`: a sample company from nothing to a dashboard."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from predictkpi.registry import Registry
    from predictkpi.store import Store


def demo(
    folder: Annotated[Path, typer.Option(help="Where the sample company's CSV files and mapping go.")] = Path("var/demo"),
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Open the dashboard at the end, or stop after training.")] = True,
    customers: Annotated[int, typer.Option(min=50, help="Size of the company; orders and deals in proportion.")] = 800,
    port: Annotated[int | None, typer.Option(help="Port of the dashboard; default from the settings (8000).")] = None,
) -> None:
    """Make a sample company, load it, train, predict and open the dashboard.

    Running it again changes nothing: the files are the same, loading them twice does nothing, and what is trained stays.

    Examples: [bold]predictkpi demo[/bold] · [bold]predictkpi demo --no-serve[/bold] · [bold]predictkpi demo --customers 250[/bold]
    """
    from predictkpi.cli.data import run_ingest, show_ingest
    from predictkpi.cli.forecasts import run_scoring, show_scoring, with_champion
    from predictkpi.cli.lifecycle import run_replay, run_training, show_replay, show_training
    from predictkpi.cli.render import remarks
    from predictkpi.cli.serve import run_server
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.outlook import NAME as OUTLOOK
    from predictkpi.predictors import predictor_names
    from predictkpi.settings import read_settings

    settings = read_settings(**({} if port is None else {"port": port}))
    say, started = remarks(), time.monotonic()
    store, registry = open_store(settings), open_registry(settings)
    mapping = _write_files(folder, store, customers)
    say.print(f"[bold]1/4[/] sample company written to {folder}")
    report = run_ingest(store, mapping=mapping, source=folder)
    show_ingest(report)
    say.print("[bold]2/4[/] loaded; next: train")
    is_new = any(feed.accepted for feed in report.feeds)
    names = [name for name in predictor_names() if is_new or not _is_trained(registry, name)]
    if names:
        show_training(run_training(store, registry, names, settings, None))
    if names or not registry.tags_of_runs(OUTLOOK):
        show_replay(run_replay(store, registry, settings, None))
    say.print("[bold]3/4[/] trained" if names else "[bold]3/4[/] trained before on the same data: kept")
    show_scoring(run_scoring(store, registry, with_champion(registry, predictor_names()), None))
    say.print(f"[bold]4/4[/] predictions stored; {time.monotonic() - started:.0f} s in all")
    if serve:
        run_server(settings)


def _write_files(folder: Path, store: Store, customers: int) -> Path:
    """Write the sample company's files; `ConflictError` where the store holds another company, which the demo would spoil."""
    from predictkpi.errors import ConflictError
    from predictkpi.synthetic import make_company, write_company

    company = make_company(customers=customers, deals=5 * customers, orders=round(11.25 * customers))
    there, loaded = store.company, store.counts()["customers"]
    if there and not store.is_empty and (there.name, loaded) != (company.company.name, len(company.tables["customers"])):
        raise ConflictError(
            f"the store already holds the data of {there.name!r} ({loaded} customers); to look at the sample company beside it, "
            "set PREDICTKPI_DATABASE_URL and MLFLOW_TRACKING_URI to other places, e.g. sqlite:///var/demo.db and sqlite:///var/demo-mlflow.db"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_company(company, folder)
    return folder / "mapping.yaml"


def _is_trained(registry: Registry, predictor: str) -> bool:
    from predictkpi.errors import NoChampionError

    try:
        return bool(registry.champion_version(predictor))
    except NoChampionError:
        return False
