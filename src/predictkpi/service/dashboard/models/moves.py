"""Promote and roll back: what exactly will change, said before it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predictkpi.errors import ConflictError, UnknownNameError
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.models.versions import version_of
from predictkpi.service.registry_memory import Known
from predictkpi.service.version_records import Standing, VersionRecord

PROMOTE, ROLLBACK = "promote", "rollback"


@dataclass(frozen=True)
class Question:
    """Whether another version may serve: the question, what will change, what speaks against it, and what the form sends.

    ``beside`` is the version that serves as far as the reader knows: if another one does by then, nothing is changed.
    """

    action: str
    path: str
    back: str
    question: str
    changes: list[str]
    cautions: list[str]
    reasons: list[str]
    button: str
    version: str
    beside: str


def question(
    action: str, *, predictor: str, title: str, standing: Standing, version: str, record: Known[VersionRecord] | None, by: str
) -> Question:
    """Of a move to ``version``; raises `UnknownNameError` for one that is not there, `ConflictError` for the one that serves."""
    row = standing.row(version)
    if row is None:
        raise UnknownNameError.among(f"version of {predictor}", version, known=[str(row["version"]) for row in standing.rows])
    serving = standing.champion
    if version == serving:
        raise ConflictError(f"version {version} of {predictor} is the champion already")
    ask = question_text(action, title=title, version=version, serving=serving)
    target = version_of(row, served="")
    changes = [
        _("The alias champion moves to version {version} ({kind}, learnt until {until}).").format(
            version=version, kind=target.kind, until=target.learnt_until
        ),
        _("All services of this registry answer from it within seconds, without a restart; what was predicted before stays as it was."),
        _("The audit log keeps that {name} decided so.").format(name=by),
    ]
    if action == PROMOTE and serving:
        changes.append(_("Roll back leads back to version {version}.").format(version=serving))
    return Question(
        action=action,
        path=f"/models/{predictor}/{action}",
        back=f"/models/{predictor}",
        question=ask,
        changes=changes,
        cautions=_cautions(row, standing.row(serving), record),
        reasons=[row["reason"]] if row["reason"] else [],
        button=_("Let version {version} serve").format(version=version),
        version=version,
        beside=serving,
    )


def _cautions(row: Mapping[str, Any], now: Mapping[str, Any] | None, record: Known[VersionRecord] | None) -> list[str]:
    """What speaks against letting a version serve in place of the one that does."""
    found = []
    if row["kind"] == "baseline":
        found.append(_("It is a baseline, no model."))
    if now is not None and row["as_of"] and now["as_of"] and pd.Timestamp(row["as_of"]) < pd.Timestamp(now["as_of"]):
        text = _("It has learnt from older data (until {older}) than the version that serves (until {newer}).")
        found.append(text.format(older=f.date(pd.Timestamp(row["as_of"])), newer=f.date(pd.Timestamp(now["as_of"]))))
    gate = record.value.gate if record is not None and record.value is not None else None
    if row["kind"] != "baseline" and gate is not None and not gate.promote:
        found.append(_("The gate did not let it pass."))
    if record is not None and record.value is None:
        found.append(_("What the gate said of it cannot be read just now."))
    return found


def question_text(action: str, *, title: str, version: str, serving: str) -> str:
    """The question in one sentence."""
    if action == ROLLBACK:
        return _("{title}: go back from version {serving} to version {version}?").format(title=title, version=version, serving=serving)
    if not serving:
        return _("{title}: let version {version} serve?").format(title=title, version=version)
    return _("{title}: let version {version} serve instead of version {serving}?").format(title=title, version=version, serving=serving)
