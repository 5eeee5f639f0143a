"""`predictkpi forecast` and `score`: what the champions say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated

import typer

from predictkpi.cli.options import (
    Asked,
    AsOf,
    EngineOption,
    FactsPlace,
    Format,
    FormatOption,
    Length,
    Master,
    SparkConf,
    Where,
    instant,
    whole_numbers,
)
from predictkpi.cli.webhooks import tell

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from predictkpi.core.types import Spec
    from predictkpi.engines import Engine
    from predictkpi.pipelines.score import ScoreReport
    from predictkpi.registry import Registry
    from predictkpi.store import Store

    EngineAt = Callable[..., AbstractContextManager[Engine]]

REASONS_SHOWN = 5


def forecast(
    name: Annotated[str, typer.Argument(help="revenue, clv or close_time, or a KPI: win_rate.")],
    by: Annotated[
        str | None,
        typer.Option(
            help="For revenue: one series per member of segment, region, channel, product or team, or of crossed ones: region,segment."
        ),
    ] = None,
    entity: Annotated[
        list[str] | None, typer.Option(help="One customer, deal or series by id, or a member for a KPI: region=EMEA; may be repeated.")
    ] = None,
    freq: Annotated[
        Length,
        typer.Option(help="For revenue: by week (W) or fiscal quarter (Q) the outlook's level and growth, see `predictkpi outlook`."),
    ] = Length.MONTH,
    horizon: Annotated[int | None, typer.Option(min=1, help="No further than this many months, days, or periods of --freq.")] = None,
    horizons: Annotated[
        str | None, typer.Option(help="Exactly these many months or days, e.g. 7,45; for close_time any from 1 to 180.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entities in the table, highest first; json and csv give all of them.")] = 20,
    as_of: AsOf = None,
    format_: FormatOption = Format.TABLE,
    engine: EngineOption = Where.LOCAL,
    master: Master = None,
    facts: FactsPlace = None,
    spark_conf: SparkConf = None,
) -> None:
    """Show the champion's predictions with their intervals, or the months of a KPI.

    Examples: [bold]predictkpi forecast revenue[/bold] · [bold]predictkpi forecast revenue --by segment --horizon 3[/bold] ·
    [bold]predictkpi forecast close_time --entity D-000123 --horizons 7,45,180[/bold] ·
    [bold]predictkpi forecast clv --format csv > clv.csv[/bold] ·
    [bold]predictkpi forecast revenue --freq W[/bold] · [bold]predictkpi forecast win_rate --entity region=EMEA[/bold]
    """
    from functools import partial

    from predictkpi.cli.engines import engine_of
    from predictkpi.cli.kpi_forecasts import show_kpi
    from predictkpi.cli.levels import show_levels
    from predictkpi.errors import SettingsError, UnknownNameError
    from predictkpi.kpis import kpi_names
    from predictkpi.predictors import predictor_names

    asked = Asked(by, entity, horizon, horizons, limit, as_of, format_)
    if engine is Where.SPARK:
        if name not in predictor_names() or freq is not Length.MONTH or entity or horizons:
            raise SettingsError("--engine spark forecasts everybody: revenue, clv or close_time, without --entity, --horizons and --freq")
        _show_predictions(name, asked, partial(engine_of, engine, master=master, facts=facts, spark_conf=spark_conf))
        return
    if master or facts or spark_conf:
        raise SettingsError("--master, --facts and --spark-conf are for --engine spark")
    if freq is not Length.MONTH:
        if name != "revenue" or horizons or (by and entity):
            raise SettingsError("--freq W and Q are for revenue, with --by or --entity, and without --horizons")
        show_levels(freq, asked)
        return
    if name in predictor_names():
        _show_predictions(name, asked)
    elif name in kpi_names():
        if by or horizons:
            raise SettingsError("--by and --horizons are for predictors; a KPI takes members one by one: --entity region=EMEA")
        show_kpi(name, asked)
    else:
        raise UnknownNameError.among("predictor or KPI", name, known={*predictor_names(), *kpi_names()})


def _show_predictions(predictor: str, asked: Asked, engine_at: EngineAt | None = None) -> None:
    from predictkpi.cli.render import machine, out
    from predictkpi.core import columns as c
    from predictkpi.core.types import Status
    from predictkpi.errors import InsufficientDataError, SettingsError, UnknownNameError
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.score import served, served_by
    from predictkpi.predictors import predictor_class
    from predictkpi.predictors.revenue.scopes import dimensions_of, series_by
    from predictkpi.settings import read_settings

    spec = predictor_class(predictor).spec
    if asked.by and spec.entity != "series":
        raise SettingsError(f"--by splits series; {predictor} predicts each {spec.entity}: use --entity")
    settings = read_settings()
    store = open_store(settings)
    registry = open_registry(settings)
    model, ref = registry.champion(predictor)
    if store.is_empty:
        raise InsufficientDataError("the store is empty: load data with `predictkpi ingest`, or look around with `predictkpi demo`")
    wanted = None if asked.horizons is None else whole_numbers("--horizons", asked.horizons)
    as_of = instant(asked.as_of, store)
    if engine_at is None:
        found = served(model, ref, store.snapshot(as_of), entity_ids=asked.entity or None, horizons=wanted)
    else:
        with engine_at(store, registry, settings, as_of=as_of) as engine:
            found = served_by(engine, model, ref)
    if spec.entity == "series" and not asked.entity:
        names = found[c.ENTITY_ID].unique().tolist()
        members = series_by(names, asked.by) if asked.by else [c.TOTAL]
        if asked.by and not members:
            raise UnknownNameError.among("dimension", asked.by, known={dimensions_of(name) for name in names} - {""})
        found = found[found[c.ENTITY_ID].isin(members)]
    if asked.horizon is not None:
        found = found[found[c.HORIZON] <= asked.horizon]
        if not len(found):
            raise SettingsError(
                f"--horizon {asked.horizon}: {predictor} predicts {', '.join(map(str, spec.horizons))} {spec.time_unit}s ahead"
            )
    if asked.format_ is not Format.TABLE:
        machine(found, asked.format_)
        return
    console = out()
    console.print(_table(spec, found, asked.limit))
    note = f": {ref.reason}" if ref.kind == "baseline" else ""
    lowered = found.loc[found[c.VALUE].notna() & (found[c.STATUS] != Status.FULL.value), c.REASON]
    for reason in [reason for reason in lowered.unique() if reason and ref.kind == "model"][:REASONS_SHOWN]:
        console.print(f"[yellow]limited:[/] {reason}", highlight=False)
    console.print(f"{ref.kind} version {ref.version}, as of {found[c.AS_OF].iloc[0]:%Y-%m-%d}{note}" if len(found) else "nobody to predict")


def _table(spec: Spec, found: pd.DataFrame, limit: int) -> Table:
    """One row per entity and horizon, one column per statistic; entities by their largest headline value."""
    from predictkpi.cli.render import amount, status, table
    from predictkpi.core import columns as c
    from predictkpi.core.periods import shift

    units = {statistic.name: statistic.unit for statistic in spec.statistics}
    shown = [one.name for one in spec.statistics if one.name in set(found[c.STATISTIC]) and not one.is_detail]
    if spec.score == "quantiles":
        shown = [name for name in shown if name in (spec.headline, "q10", "q90") or name.endswith(("yoy_q10", "yoy_q50", "yoy_q90"))]
    top = found[found[c.STATISTIC] == spec.headline].groupby(c.ENTITY_ID)[c.VALUE].max().nlargest(limit).index
    chosen = found[found[c.ENTITY_ID].isin(top)]
    wide = chosen.pivot_table(index=[c.ENTITY_ID, c.HORIZON], columns=c.STATISTIC, values=c.VALUE)
    rungs = chosen.groupby([c.ENTITY_ID, c.HORIZON])[c.STATUS].first()
    rows = []
    for entity in top:
        for horizon, values in wide.loc[entity].iterrows():
            when = str(horizon)
            if spec.entity == "series":
                when = f"{shift(found[c.AS_OF].iloc[0], int(str(horizon)) - 1, 'M'):%Y-%m}"
            cells = [amount(float(values.get(name, float("nan"))), units[name]) for name in shown]
            rows.append([entity, when, *cells, status(str(rungs.loc[(entity, horizon)]))])
    ahead = "month" if spec.entity == "series" else f"{spec.time_unit}s ahead"
    headings = [(spec.entity, "left"), (ahead, "right"), *[(name.replace("_", " "), "right") for name in shown], ("status", "left")]
    of = found[c.ENTITY_ID].nunique()
    caption = f"{len(top)} of {of}: highest first" if of > len(top) else ""
    return table(spec.title["en"], headings, rows, caption=caption)


def score(
    predictor: Annotated[list[str] | None, typer.Argument(help="revenue, clv, close_time. Default: all of them.")] = None,
    as_of: AsOf = None,
    with_shadow: Annotated[
        bool, typer.Option("--shadow/--no-shadow", help="Also predict with each challenger, beside its champion and unseen.")
    ] = True,
    engine: EngineOption = Where.LOCAL,
    master: Master = None,
    facts: FactsPlace = None,
    spark_conf: SparkConf = None,
    out_: Annotated[
        str | None, typer.Option("--out", help="Write Parquet to this folder, a folder a predictor, and nothing to the store.")
    ] = None,
) -> None:
    """Predict for everybody and keep the predictions in the store, for export and for the scoreboard.

    A challenger (the newest model that was not good enough, or one that waits for a person) predicts too, in the shadow: nothing shows
    what it says, and [bold]predictkpi scoreboard[/bold] compares it with the champion on what came true.

    A webhook is sent `deal.chance_fell` and `target.at_risk` (docs/webhooks.md); nothing with --as-of.

    With [bold]--engine spark[/bold] a Spark cluster predicts for everybody, with the same answers; challengers do not shadow there.

    Examples: [bold]predictkpi score[/bold] (nightly, after ingest) · [bold]predictkpi score close_time --no-shadow[/bold] ·
    [bold]predictkpi score clv --engine spark --master spark://host:7077 --facts parquet:/lake/facts --out /lake/predictions[/bold]
    """
    from predictkpi.cli.engines import engine_of
    from predictkpi.pipelines.open_store import open_registry, open_store
    from predictkpi.pipelines.webhooks import open_webhook
    from predictkpi.predictors import predictor_class, predictor_names
    from predictkpi.settings import read_settings

    for name in predictor or []:
        predictor_class(name)
    settings = read_settings()
    webhook = open_webhook(settings) if as_of is None else None
    store, registry = open_store(settings), open_registry(settings)
    names = list(dict.fromkeys(predictor)) if predictor else with_champion(registry, predictor_names())
    at = instant(as_of, store)
    with engine_of(engine, store, registry, settings, as_of=at, master=master, facts=facts, spark_conf=spark_conf) as where:
        if out_ is not None:
            show_scoring(run_scoring_to(out_, registry, where, names, store.snapshot(at).as_of))
            return
        show_scoring(run_scoring(store, registry, names, at, with_shadow=with_shadow and engine is Where.LOCAL, engine=where))
    tell(webhook, store, registry, settings, lambda notifier: notifier.after_scoring())


def with_champion(registry: Registry, names: Sequence[str]) -> list[str]:
    """Those that can be asked; the others are said to be left out. Raises `NoChampionError` where none is left."""
    from predictkpi.cli.render import remarks
    from predictkpi.errors import NoChampionError

    found, missing = [], []
    for name in names:
        try:
            registry.champion_version(name)
            found.append(name)
        except NoChampionError as error:
            missing.append((name, error))
    if not found:
        raise missing[0][1]
    for name, _ in missing:
        remarks().print(f"{name}: left out, it has no champion (`predictkpi train` says why)")
    return found


def run_scoring(
    store: Store,
    registry: Registry,
    names: list[str],
    as_of: pd.Timestamp | None,
    *,
    with_shadow: bool = False,
    engine: Engine | None = None,
) -> list[ScoreReport]:
    """Score with a progress display; the champions first. A challenger that fails is told of, and no error."""
    from predictkpi.cli.render import progress, remarks
    from predictkpi.pipelines.score import score as run
    from predictkpi.pipelines.score import shadow

    with progress() as display:
        task = display.add_task("score", total=None, step="")

        def show(name: str, done: int, total: int) -> None:
            display.update(task, step=name, completed=done, total=total)

        reports = run(store, registry, predictors=names, as_of=as_of, engine=engine, on_progress=show)
        shadows, troubles = shadow(store, registry, predictors=names, as_of=as_of, on_progress=show) if with_shadow else ([], [])
    for trouble in troubles:
        remarks().print(f"{trouble.predictor}: its challenger did not shadow: {trouble.reason}", highlight=False, markup=False)
    return reports + shadows


def run_scoring_to(folder: str, registry: Registry, engine: Engine, names: list[str], as_of: pd.Timestamp) -> list[ScoreReport]:
    """Score to a folder, with a progress display."""
    from predictkpi.cli.render import progress
    from predictkpi.pipelines.score import score_to_folder

    with progress() as display:
        task = display.add_task("score", total=None, step="")

        def show(name: str, done: int, total: int) -> None:
            display.update(task, step=name, completed=done, total=total)

        return score_to_folder(registry, engine, predictors=names, folder=folder, as_of=as_of, on_progress=show)


def show_scoring(reports: list[ScoreReport]) -> None:
    """Counts by predictor."""
    from predictkpi.cli.render import out, table

    rows = [
        [
            report.predictor,
            f"{report.model.kind} v{report.model.version}",
            report.role.value,
            f"{report.as_of:%Y-%m-%d}",
            f"{report.entities:,}",
            f"{report.rows:,}",
        ]
        for report in reports
    ]
    headings = [("predictor", "left"), ("by", "left"), ("as", "left"), ("as of", "left"), ("entities", "right"), ("predictions", "right")]
    out().print(table("Predicted", headings, rows))
