"""`Store`: one database of facts and predictions, and the snapshots taken from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from predictkpi.core import columns as c
from predictkpi.core.types import Company, Role
from predictkpi.errors import DataError, SchemaError, StoreError
from predictkpi.snapshot import Facts, Snapshot
from predictkpi.store.access_log import Accesses
from predictkpi.store.audit import ENTRY_COLUMNS, read_entries, write_entry
from predictkpi.store.engine import open_engine, reading, writing
from predictkpi.store.erasures import Erasures
from predictkpi.store.frames import read_frame, read_versions
from predictkpi.store.keys import Keys
from predictkpi.store.loading import Counts, Load, open_load, read_company
from predictkpi.store.lock import holding
from predictkpi.store.marks import count_statements, read_marks, with_withdrawals, write_marks
from predictkpi.store.outbox import Outbox
from predictkpi.store.predictions import (
    log_answers,
    newest_scoring,
    predicted_days,
    read_answers,
    read_predictions,
    write_predictions,
)
from predictkpi.store.rejects import REJECT_GROUPS, count_rejects, read_reject_groups, read_rejects
from predictkpi.store.repeatable import Repeatables
from predictkpi.store.retention import delete_older
from predictkpi.store.schema import FACT_TABLES, LOAD_ID, LOADS, NEWEST_KNOWN_AT, RECORD, REJECT_FIELDS, REJECT_ID, SCOREBOARDS
from predictkpi.store.versions import OUTCOME, REJECTED, Learning
from predictkpi.store.watched import Watched
from predictkpi.store.written import Written
from predictkpi.tables import table_schema

_MIGRATIONS = Path(__file__).parent / "migrations"
_SECONDS_TO_WAIT_FOR_A_WRITER = 30.0


class Store:
    """Facts and predictions in SQLite or PostgreSQL. Opening it touches nothing; `migrate` creates or upgrades the database.

    May be shared by threads. Readers never wait for a load and never see half of one; a writer waits ``wait_seconds`` for another one.
    Every method raises `StoreError` where the database cannot be reached or refuses, `ConflictError` where the wait was in vain.
    """

    def __init__(self, url: str, *, wait_seconds: float = _SECONDS_TO_WAIT_FOR_A_WRITER) -> None:
        self._engine = open_engine(url, wait_seconds=wait_seconds)
        self.url = self._engine.url
        self.keys = Keys(self._engine)
        self.accesses = Accesses(self._engine)
        self.repeatables = Repeatables(self._engine)
        self.outbox = Outbox(self._engine)
        self.written = Written(self._engine)
        self.erasures = Erasures(self._engine)
        self.watched = Watched(self._engine)

    def __repr__(self) -> str:
        return f"Store({self.url.render_as_string(hide_password=True)!r})"

    def migrate(self) -> None:
        """Bring the database to the newest schema; creates the file and its folder where the URL names a SQLite file."""
        if self.url.get_backend_name() == "sqlite" and self.url.database:
            try:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError(f"{self!r}: the folder of the database cannot be made: {error}") from error
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        with reading(self._engine) as connection:
            held = MigrationContext.configure(connection).get_current_revision()
        if held == scripts.get_current_head():
            return
        if held is not None and held not in {script.revision for script in scripts.walk_revisions()}:
            raise StoreError(
                f"{self!r} is of a newer version of predictkpi (its schema is {held}): use that version, or restore a backup from before it"
            )
        with writing(self._engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Let go of all connections; the store may be used again afterwards."""
        self._engine.dispose()

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been loaded yet (or the database does not exist)."""
        return self.company is None

    @property
    def company(self) -> Company | None:
        """Whose books these are, as the last load stated it; None before the first load."""
        with self._reading() as connection:
            return read_company(connection) if connection is not None else None

    def counts(self) -> dict[str, int]:
        """Stored versions by fact table."""
        with self._reading() as connection:
            if connection is None:
                return dict.fromkeys(FACT_TABLES, 0)
            return {
                name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for name, table in FACT_TABLES.items()
            }

    def count_withdrawals(self) -> dict[str, int]:
        """How often it was stated that a record is gone, or back, by fact table; one of which nothing was stated is not named."""
        with self._reading() as connection:
            return {} if connection is None else count_statements(connection)

    def rejects(
        self,
        limit: int | None = 100,
        *,
        load_id: int | None = None,
        table: str | None = None,
        file: str | None = None,
        with_records: bool = False,
        after: tuple[int, int] | None = None,
    ) -> pd.DataFrame:
        """Rejects that no replay has settled, newest load first: ``load_id, file, row, table, field, value, reason``.

        Only those of a load, table or file where one is named. ``with_records`` adds ``reject_id`` and ``record``: the row as the source
        gave it, as JSON; empty for a line that was no row. ``after`` leaves out those up to that ``load_id`` and ``reject_id``.
        """
        columns = [LOAD_ID, *REJECT_FIELDS, *([REJECT_ID, RECORD] if with_records else [])]
        with self._reading() as connection:
            if connection is None:
                return pd.DataFrame(columns=columns)
            return read_rejects(connection, columns, load_id=load_id, table=table, file=file, limit=limit, after=after)

    def reject_groups(self, limit: int = 50) -> pd.DataFrame:
        """The same by file, table, field and reason, most frequent first: `rejects.REJECT_GROUPS`; ``example`` is one of the values."""
        with self._reading() as connection:
            return pd.DataFrame(columns=REJECT_GROUPS) if connection is None else read_reject_groups(connection, limit=limit)

    def newest_loads(self, table: str) -> pd.DataFrame:
        """Key columns of every row of a fact table, and ``load_id``: the load that brought its newest version."""
        held = FACT_TABLES[table]
        key = [held.c[name] for name in table_schema(table).key]
        with reading(self._engine) as connection:
            return read_frame(connection, sa.select(*key, sa.func.max(held.c[LOAD_ID]).label(LOAD_ID)).group_by(*key))

    def count_rejects(self) -> int:
        """How many rejects no replay has settled."""
        with self._reading() as connection:
            return 0 if connection is None else count_rejects(connection)

    def loads(self, limit: int = 100, *, besides: Collection[str] = ()) -> pd.DataFrame:
        """The book of loads, newest first, with their counts; a refused load brought only its rejects.

        ``besides``: sources whose loads are left out.
        """
        with self._reading() as connection:
            if connection is None:
                return pd.DataFrame(columns=LOADS.c.keys())
            wanted = LOADS.c.source.not_in(besides)
            return read_frame(connection, sa.select(LOADS).where(wanted).order_by(LOADS.c[LOAD_ID].desc()).limit(limit))

    def marks(self, source: str) -> dict[str, str]:
        """How far each object of that source has been read, as its connector wrote it."""
        with self._reading() as connection:
            return {} if connection is None else read_marks(connection, source)

    def write_marks(self, source: str, marks: Mapping[str, str]) -> None:
        """Move marks that no record goes with; others are written by their `Load`."""
        with writing(self._engine) as connection:
            write_marks(connection, source, marks)

    @property
    def newest_load(self) -> int:
        """Number of the newest load; 0 where nothing was loaded."""
        with self._reading() as connection:
            return 0 if connection is None else int(connection.execute(sa.select(sa.func.max(LOADS.c[LOAD_ID]))).scalar() or 0)

    def facts(self, *, loaded_by: int | None = None, company: Company | None = None) -> Facts:
        """All versions of all facts that were loaded by now, or by the load of that number; raises `DataError` on an empty store.

        ``company`` as it was stated then, where it is told: the store keeps the newest statement only.
        """
        with self._reading() as connection:
            stated = read_company(connection) if connection is not None else None
            if connection is None or stated is None:
                raise DataError(f"{self!r} holds no facts yet: load some with `predictkpi ingest` or `predictkpi demo`")
            newest_load = connection.execute(sa.select(sa.func.max(LOADS.c[LOAD_ID]))).scalar_one()
        return _StoredFacts(self._engine, company or stated, newest_load if loaded_by is None else min(newest_load, loaded_by))

    def default_as_of(self) -> pd.Timestamp:
        """The first midnight after everything that happened became known; raises `DataError` on an empty store.

        Targets and exchange rates do not count: they may be known long before or after the business they speak of.
        """
        facts = self.facts()
        with reading(self._engine) as connection:
            newest = connection.execute(sa.select(sa.func.max(LOADS.c[NEWEST_KNOWN_AT]))).scalar()
        if newest is None:
            raise DataError(f"{self!r} of {facts.company.name} holds no customers, orders, deals or spend: there is no day to look from")
        return newest.normalize() + pd.Timedelta(days=1)

    def snapshot(self, as_of: pd.Timestamp | None = None, *, loaded_by: int | None = None, company: Company | None = None) -> Snapshot:
        """Everything known before ``as_of``, by default before `default_as_of`; ``loaded_by`` and ``company``: see `facts`."""
        return Snapshot(self.facts(loaded_by=loaded_by, company=company), self.default_as_of() if as_of is None else as_of)

    @contextmanager
    def begin_load(
        self, *, company: Company, now: pd.Timestamp, exported_at: pd.Timestamp | None = None, mapping: str = "", source: str = ""
    ) -> Iterator[Load]:
        """A load in one transaction: committed when the block ends, without a trace when it raises."""
        learning = Learning(learnt_at=now if exported_at is None else exported_at, now=now)
        with writing(self._engine) as connection:
            yield open_load(connection, company=company, learning=learning, exported_at=exported_at, mapping=mapping, source=source)

    def load(self, tables: Mapping[str, pd.DataFrame], *, company: Company, now: pd.Timestamp, source: str = "memory") -> dict[str, Counts]:
        """Load typed frames (schema columns, ``known_at`` where known) in one transaction; returns the counts by table.

        Strict: raises `SchemaError` at the first row that breaks its schema or contradicts another; files go through `pipelines.ingest`.
        """
        counts: dict[str, Counts] = {}
        with self.begin_load(company=company, now=now, source=source) as load:
            for name, frame in tables.items():
                counts[name] = _load_frame(load, name, frame)
            load.finish(sum(counts.values(), Counts()))
        return counts

    def write_predictions(
        self,
        frames: pd.DataFrame | Iterable[pd.DataFrame],
        *,
        role: Role = Role.CHAMPION,
        inputs_digest: str | None = None,
        now: pd.Timestamp | None = None,
    ) -> None:
        """Keep predictions (`columns.PREDICTION_COLUMNS`), in place of any of the same predictor, version, as_of and entity.

        Several frames, none of which shares an entity with another, are kept all or none.

        What a version said as of an instant is of one role: once its champion's, always its champion's, for somebody may have seen it.
        """
        with writing(self._engine) as connection:
            for frame in [frames] if isinstance(frames, pd.DataFrame) else frames:
                write_predictions(connection, frame, role=role, inputs_digest=inputs_digest, now=now)

    def read_predictions(
        self, *, predictor: str, model_version: str, as_of: pd.Timestamp, entity_ids: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Stored predictions (`columns.PREDICTION_COLUMNS`) in the order they were written; empty where there are none."""
        with reading(self._engine) as connection:
            return read_predictions(connection, predictor, model_version, as_of, entity_ids)

    def scored_version(self, predictor: str, *, until: pd.Timestamp) -> str | None:
        """Version that wrote the newest predictions as champion with ``as_of <= until``; None where nothing was scored by then."""
        found = self.newest_scoring(predictor, until=until)
        return None if found is None else found[0]

    def newest_scoring(self, predictor: str, *, until: pd.Timestamp | None = None) -> tuple[str, pd.Timestamp] | None:
        """Version and as_of of the newest predictions as champion, with ``as_of <= until`` where given; None where nothing was scored."""
        with reading(self._engine) as connection:
            return newest_scoring(connection, predictor, until=until)

    def predicted_days(self, predictor: str) -> pd.DataFrame:
        """What was predicted, batches and served answers: ``model_version, role, as_of``, each once."""
        with reading(self._engine) as connection:
            return predicted_days(connection, predictor)

    def log_answers(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Keep served answers (columns of `schema.ANSWERS`); of one that is there already only ``times`` and ``last_served_at`` move."""
        with writing(self._engine) as connection:
            log_answers(connection, rows)

    def read_answers(self, predictor: str, *, model_version: str | None = None, as_of: pd.Timestamp | None = None) -> pd.DataFrame:
        """Served answers, one row each (columns of `schema.ANSWERS`), in the order in which they were last served."""
        with reading(self._engine) as connection:
            return read_answers(connection, predictor, model_version, as_of)

    def write_scoreboard(self, predictor: str, content: str, *, as_of: pd.Timestamp, now: pd.Timestamp) -> None:
        """Keep a predictor's newest scoreboard, as JSON, in place of the one before."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(SCOREBOARDS).where(SCOREBOARDS.c[c.PREDICTOR] == predictor))
            connection.execute(sa.insert(SCOREBOARDS).values(predictor=predictor, as_of=as_of, made_at=now, content=content))

    def scoreboards_made(self) -> tuple[tuple[str, pd.Timestamp], ...]:
        """Which predictors have a scoreboard, and when it was made."""
        with reading(self._engine) as connection:
            held = SCOREBOARDS.c
            rows = connection.execute(sa.select(held[c.PREDICTOR], held["made_at"]).order_by(held[c.PREDICTOR]))
            return tuple((str(name), made_at) for name, made_at in rows)

    def read_scoreboards(self) -> dict[str, str]:
        """The newest scoreboard of each predictor, as it was written."""
        with self._reading() as connection:
            if connection is None:
                return {}
            rows = connection.execute(sa.select(SCOREBOARDS.c[c.PREDICTOR], SCOREBOARDS.c["content"]).order_by(SCOREBOARDS.c[c.PREDICTOR]))
            return {str(name): str(content) for name, content in rows}

    def write_audit(self, at: pd.Timestamp, action: str, subject: str, detail: Mapping[str, Any], *, actor: str = "") -> None:
        """Add to the audit log: ``action`` on ``subject`` (a predictor, a key, ...); without an ``actor``, the user of this process."""
        with writing(self._engine) as connection:
            write_entry(connection, at, action, subject, detail, actor)

    def audit(self, *, subject: str | None = None, limit: int = 100, before: int | None = None) -> pd.DataFrame:
        """The audit log, newest first: `audit.ENTRY_COLUMNS`; ``before`` leaves out that ``audit_id`` and all newer ones."""
        with self._reading() as connection:
            if connection is None:
                return pd.DataFrame(columns=ENTRY_COLUMNS)
            return read_entries(connection, subject=subject, limit=limit, before=before)

    def delete_older(self, table: str, before: pd.Timestamp, *, predictor: str | None = None, dry_run: bool = False) -> int:
        """Delete rows that are older than that, some thousand at a time; returns how many. See `retention`."""
        return delete_older(self._engine, table, before, predictor=predictor, dry_run=dry_run)

    @contextmanager
    def lock(self, work: str, *, holder: str) -> Iterator[None]:
        """Do that work alone, on whatever machine; raises `LockedError`, which names the holder, at once where another process does it."""
        with holding(self._engine, work, holder=holder):
            yield

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        """A connection, or None where the database has not been set up yet."""
        is_absent = self.url.get_backend_name() == "sqlite" and not Path(self.url.database or "").is_file()
        if is_absent:
            yield None
            return
        with reading(self._engine) as connection:
            yield connection if sa.inspect(connection).has_table(LOADS.name) else None


class _StoredFacts:
    """`snapshot.Facts` from the database as the loads up to ``newest_load`` left it: later ones do not show, whenever a table is read."""

    def __init__(self, engine: sa.Engine, company: Company, newest_load: int) -> None:
        self.company = company
        self._engine = engine
        self._newest_load = newest_load

    def read(self, table: str, *, known_before: pd.Timestamp) -> pd.DataFrame:
        """See `Facts.read`."""
        held = FACT_TABLES[table]
        is_known = (held.c[c.KNOWN_AT] < known_before) & (held.c[LOAD_ID] <= self._newest_load)
        with reading(self._engine) as connection:
            versions = read_versions(connection, held, [*table_schema(table).column_names, c.KNOWN_AT], is_known)
            return with_withdrawals(connection, table, versions, known_before=known_before, newest_load=self._newest_load)


def _load_frame(load: Load, name: str, frame: pd.DataFrame) -> Counts:
    schema = table_schema(name)
    offered = frame.reset_index(drop=True)
    if c.KNOWN_AT not in offered:
        offered = offered.assign(**{c.KNOWN_AT: pd.Series(pd.NaT, index=offered.index, dtype="datetime64[us]")})
    schema.validate(offered)
    plan = load.plan(name, offered, origin=lambda labels: "row " + labels.astype("str").to_series(index=labels))
    rejected = plan[plan[OUTCOME] == REJECTED]
    if len(rejected):
        raise SchemaError(f"{name}: {len(rejected)} rows cannot be kept; first: row {rejected.index[0]}: {rejected[c.REASON].iloc[0]}")
    load.write(name, offered, plan)
    return Counts.of(plan[OUTCOME])
