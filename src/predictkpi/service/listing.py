"""What lists of deals and customers, and the pages of one of them, have in common."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from predictkpi.service.envelopes import model_of
from predictkpi.service.paging import Mask, Rows
from predictkpi.service.view import View


class Asked(BaseModel):
    """What every list may be asked."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=500, description="so many rows at most")
    cursor: str | None = Field(None, min_length=1, max_length=4000, description="`next` of the page before; the first page without it")


def only(what: str) -> Any:
    """A filter that may be repeated."""
    return Field(default_factory=list, description=f"only those {what}; may be repeated; `(none)`: without one")


def seen(view: View, rows: Rows, entity: str) -> Mask:
    """Which rows the caller may see."""
    if view.rows is None:
        return np.ones(len(rows.columns), bool)
    return np.asarray(pd.Index(rows.ids).isin(view.visible[entity]), dtype=bool)


def source_of(view: View, predictor: str) -> dict[str, Any]:
    """What every list says of itself."""
    champion = view.champions.get(predictor)
    reason = "" if champion else str(view.missing.get(predictor) or f"{predictor}: no model has been promoted")
    told = {"as_of": view.as_of, "currency": view.company.currency, "reason": reason}
    return told | {"model": model_of(champion.ref) if champion else None}


def own_fields(view: View, table: str, entity_id: str) -> dict[str, Any]:
    """The company's own fields of one record that have a value."""
    held = cast(pd.DataFrame, view.page(f"attributes of {table}", lambda view: view.snapshot.attributes(table)))
    if entity_id not in held.index:
        return {}
    values = {str(name): held.at[entity_id, name] for name in held.columns}
    return {name: value for name, value in values.items() if not pd.isna(value)}
