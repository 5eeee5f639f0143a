from __future__ import annotations

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from predictkpi.store.schema import METADATA


def test_migrations__make_the_schema_that_the_code_expects(store):
    engine = sa.create_engine(store.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert set(METADATA.tables) < set(sa.inspect(connection).get_table_names())
        if engine.dialect.name == "sqlite":
            assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
        for name in METADATA.tables:
            found = {(i["name"], tuple(i["column_names"])) for i in sa.inspect(connection).get_unique_constraints(name)}
            expected = {(u.name, tuple(u.columns.keys())) for u in METADATA.tables[name].constraints if isinstance(u, sa.UniqueConstraint)}
            assert found == expected
    engine.dispose()
