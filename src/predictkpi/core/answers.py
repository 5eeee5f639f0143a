"""The numbers of a served answer as one compact text, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import msgspec
import pandas as pd

from predictkpi.core import columns as c

_WITHIN = [c.HORIZON, c.STATISTIC, c.VALUE, c.STATUS]


def packed(rows: Iterable[tuple[int, str, float | None, str]]) -> str:
    """Rows of horizon, statistic, value (None where there is none) and status, as JSON."""
    return msgspec.json.encode(list(rows)).decode()


def unpacked(answers: pd.DataFrame) -> pd.DataFrame:
    """Long rows of logged answers (columns ``entity_id, as_of, content``): ``entity_id, as_of, horizon, statistic, value, status``."""
    rows = [
        (entity_id, as_of, *row)
        for entity_id, as_of, content in zip(answers[c.ENTITY_ID], answers[c.AS_OF], answers["content"], strict=True)
        for row in json.loads(content)
    ]
    kinds: Mapping[str, str] = {c.ENTITY_ID: "str", c.AS_OF: "datetime64[us]", c.HORIZON: "int64", c.STATISTIC: "str", c.STATUS: "str"}
    return pd.DataFrame(rows, columns=[c.ENTITY_ID, c.AS_OF, *_WITHIN]).astype({**kinds, c.VALUE: "float64"})
