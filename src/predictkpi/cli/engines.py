"""`--engine`, and `predictkpi export-facts`: work on a Spark cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import AsOf, Where, instant

if TYPE_CHECKING:
    import pandas as pd

    from predictkpi.engines import Engine
    from predictkpi.registry import Registry
    from predictkpi.settings import Settings
    from predictkpi.store import Store


@contextmanager
def engine_of(
    where: Where,
    store: Store,
    registry: Registry,
    settings: Settings,
    *,
    as_of: pd.Timestamp | None,
    master: str | None,
    facts: str | None,
    spark_conf: Sequence[str] | None,
) -> Iterator[Engine]:
    """The engine that the options ask for; `SettingsError` for options of Spark without it, or for what is no name=value."""
    from predictkpi.cli.render import progress
    from predictkpi.engines import LocalEngine
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.on_spark import spark_engine

    if where is Where.LOCAL:
        given = [name for name, value in (("--master", master), ("--facts", facts), ("--spark-conf", spark_conf)) if value]
        if given:
            raise SettingsError(f"{', '.join(given)}: only with --engine spark")
        yield LocalEngine(store.snapshot(as_of))
        return
    pairs = [pair.partition("=") for pair in spark_conf or ()]
    for name, sign, value in pairs:
        if not sign or not name.startswith("spark."):
            raise SettingsError(f"--spark-conf {name}{sign}{value}: write a setting of Spark's own as name=value: spark.executor.memory=4g")
    password = settings.spark_password.get_secret_value() if settings.spark_password else ""
    with progress() as display:
        display.add_task("spark", total=None, step="a session, and facts for it")
        opened = spark_engine(
            store,
            registry,
            master=master or settings.spark_master,
            as_of=as_of,
            facts=facts or settings.spark_facts,
            credentials=(settings.spark_user, password) if settings.spark_user else None,
            settings={name: value for name, _, value in pairs},
        )
        engine = opened.__enter__()
    try:
        yield engine
    finally:
        opened.__exit__(None, None, None)


def export_facts(
    folder: Annotated[Path, typer.Argument(help="A folder that is new or empty; each table gets a folder in it.")],
    as_of: AsOf = None,
) -> None:
    """Write every version of every fact as Parquet, for Spark and for other tools that read a lake.

    [bold]predictkpi score --engine spark --facts parquet:FOLDER[/bold] reads it; a cluster needs a folder that all its executors see.

    Examples: [bold]predictkpi export-facts /lake/facts[/bold] · [bold]predictkpi export-facts facts-2024 --as-of 2024-07-01[/bold]
    """
    from predictkpi.cli.render import out, progress, table
    from predictkpi.engines.places import export_facts as run
    from predictkpi.errors import SettingsError
    from predictkpi.pipelines.open_store import open_store
    from predictkpi.settings import read_settings

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{folder}: is there and not empty: facts of two exports must not be mixed; name another folder")
    store = open_store(read_settings())
    snapshot = store.snapshot(instant(as_of, store))
    with progress() as display:
        task = display.add_task("export", total=None, step="")
        counts = run(snapshot, folder, on_table=lambda name, done, total: display.update(task, step=name, completed=done, total=total))
    rows = [[name, f"{count:,}"] for name, count in counts.items()]
    out().print(table(f"Facts before {snapshot.as_of:%Y-%m-%d}, in {folder}", [("table", "left"), ("versions", "right")], rows))
