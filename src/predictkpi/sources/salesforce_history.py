"""The history of Salesforce's opportunities: what two objects tell of it, made into the whole state after each change. Pure.

======================= ==========================================================================================================
OpportunityHistory      stage, amount and close date after each change of one of them; kept for good
OpportunityFieldHistory ``Field``, ``OldValue``, ``NewValue`` of each change of a field whose history is tracked; kept for two years
======================= ==========================================================================================================

A field keeps its value until its next change. Before the first change that is told it was as that change found it; a field of which no
change is told has always been as it is now. A change of a related record is told twice, by its id and by its name: ``OwnerId`` listens to
the one, ``Owner.Name`` to the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

STAGES, CHANGES = "OpportunityHistory", "OpportunityFieldHistory"
OPPORTUNITY_ID, CREATED = "OpportunityId", "CreatedDate"
CHANGES_FIELDS = (OPPORTUNITY_ID, CREATED, "Id", "DataType", "Field", "OldValue", "NewValue")
DEAL_ID, EVENT_ID, CHANGED_AT = "deal_id", "event_id", "changed_at"
_TOLD_BY_STAGES = frozenset({"Amount", "CloseDate", "CurrencyIsoCode", "ExpectedRevenue", "ForecastCategory", "Probability", "StageName"})
_KEY = ["deal", "at", "field"]
_BY_ID = "EntityId"


def stages_fields(fields: Sequence[str]) -> list[str]:
    """What to ask of OpportunityHistory for these fields of the opportunity."""
    return [OPPORTUNITY_ID, CREATED, "Id", *(name for name in fields if name in _TOLD_BY_STAGES)]


def states(deals: pd.DataFrame, stages: pd.DataFrame, changes: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """The whole state of each deal after each change, by deal and instant: ``event_id, deal_id, changed_at`` and ``fields``, all text.

    ``deals`` has ``Id``, ``CreatedDate`` and the fields as they are now, ``stages`` and ``changes`` the columns asked for by
    `stages_fields` and `CHANGES_FIELDS`; all of them text, as either API gives it.
    """
    told = pd.concat([_of_stages(stages), _of_changes(changes, fields)], ignore_index=True)
    told = told.sort_values("at", kind="stable")
    now = deals.rename(columns={"Id": "deal", CREATED: "at"}).melt(["deal", "at"], list(fields), "field", "value")
    now = now.assign(at=_instants(now["at"]))
    first = told.drop_duplicates(["deal", "field"])[["deal", "field", "before"]]
    start = now.merge(first, on=["deal", "field"], how="left")
    start = start.assign(value=start["before"].fillna(start["value"]).fillna(""))
    known = pd.concat([start[[*_KEY, "value"]], told[[*_KEY, "value"]]], ignore_index=True)
    # Emptied is "" here, so that only what did not change is filled up.
    wide = known.drop_duplicates(_KEY, keep="last").pivot(index=["deal", "at"], columns="field", values="value").sort_index()
    wide = wide.reindex(columns=list(fields))
    by_deal = wide.groupby(level="deal")
    full = by_deal.ffill().fillna(by_deal.bfill())
    full = full.mask(full == "").reset_index()
    at = full["at"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "+00:00"
    added = {DEAL_ID: full["deal"], CHANGED_AT: at, EVENT_ID: full["deal"] + "@" + at}
    return pd.DataFrame(added | {name: full[name] for name in fields}).astype("str")


def _instants(text: pd.Series) -> pd.Series:
    return pd.to_datetime(text, format="ISO8601", utc=True)


def _of_stages(stages: pd.DataFrame) -> pd.DataFrame:
    """``deal, at, field, value, before``: one row a field and row; the first value is also the one before it."""
    fields = [name for name in stages if name in _TOLD_BY_STAGES]
    long = stages.sort_values("Id").melt([OPPORTUNITY_ID, CREATED], fields, "field", "value")
    value = long["value"].fillna("")
    return pd.DataFrame(
        {"deal": long[OPPORTUNITY_ID], "at": _instants(long[CREATED]), "field": long["field"], "value": value, "before": value}
    )


def _of_changes(changes: pd.DataFrame, fields: Sequence[str]) -> pd.DataFrame:
    """The same columns: one row a change of one of the fields; of several within a second the last one of their chain stands last."""
    is_id = changes["DataType"] == _BY_ID
    parts = []
    for name in fields:
        spelled, by_id = _told_as(name)
        own = changes[changes["Field"].isin(spelled) & (is_id == by_id if by_id is not None else True)]
        if by_id is None:
            own = own[(own["DataType"] == _BY_ID) | ~_has_twin(own)]
        parts.append(own.assign(field=name))
    own = pd.concat(parts).sort_values("Id")
    same_second = [OPPORTUNITY_ID, CREATED, "field"]
    later = pd.MultiIndex.from_frame(own[[*same_second, "OldValue"]])
    is_passed = pd.MultiIndex.from_frame(own[[*same_second, "NewValue"]].set_axis(later.names, axis=1)).isin(later)
    own = pd.concat([own[is_passed], own[~is_passed]])
    return pd.DataFrame(
        {
            "deal": own[OPPORTUNITY_ID],
            "at": _instants(own[CREATED]),
            "field": own["field"],
            "value": own["NewValue"].fillna(""),
            "before": own["OldValue"].fillna(""),
        }
    )


def _told_as(name: str) -> tuple[set[str], bool | None]:
    """How the changes of a field are told: under which names, and whether by the related record's id, its name, or (None) as they come."""
    if "." in name:
        relation = name.split(".")[0]
        return {relation[:-1] + "c" if relation.endswith("__r") else relation}, False
    return ({name, name.removesuffix("Id")}, True) if name.endswith("Id") else ({name}, None)


def _has_twin(own: pd.DataFrame) -> pd.Series:
    """Changes that are told a second time, by the id of the related record."""
    when = pd.MultiIndex.from_frame(own[[OPPORTUNITY_ID, CREATED]])
    return pd.Series(when.isin(when[own["DataType"] == _BY_ID]), index=own.index)
