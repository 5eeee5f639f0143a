"""A company's own fields in the rows of a feed: each cell becomes a row of the table of attributes, or a reject of its own."""

from __future__ import annotations

import pandas as pd

from predictkpi.core import columns as c
from predictkpi.sources.mapping import Feed
from predictkpi.tables.attributes import to_text

HAPPENED = "happened"
"""When the row that an attribute stands in happened: on the first load the attribute was known then."""


def of_entities(feed: Feed, rows: pd.DataFrame, values: dict[str, pd.Series]) -> pd.DataFrame:
    """Typed ``values`` (by column of the file; cells that failed are left out) of the feed's converted ``rows``, in long form.

    The index is that of ``rows``, each label once per attribute.
    """
    schema = feed.table_schema
    blocks = []
    for source, attribute in feed.attributes.items():
        own = values[source]
        base = rows.loc[own.index]
        blocks.append(
            pd.DataFrame(
                {
                    c.TABLE: pd.Series(feed.table, index=own.index, dtype="str"),
                    c.ENTITY_ID: base[schema.key[0]],
                    c.NAME: pd.Series(attribute.name, index=own.index, dtype="str"),
                    c.KIND: pd.Series(attribute.kind, index=own.index, dtype="str"),
                    c.VALUE: to_text(own, attribute.kind),
                    c.KNOWN_AT: base[c.KNOWN_AT],
                    HAPPENED: base[schema.happened_at] if schema.happened_at else base[c.KNOWN_AT],
                }
            )
        )
    return pd.concat(blocks)


def is_new(offered: pd.DataFrame, held: pd.DataFrame) -> pd.Series:
    """Which rows are of an attribute (``table, name``) of which nothing is ``held`` yet."""
    pairs = [c.TABLE, c.NAME]
    known = pd.MultiIndex.from_frame(held[pairs].drop_duplicates())
    return pd.Series(~pd.MultiIndex.from_frame(offered[pairs]).isin(known), index=offered.index)
