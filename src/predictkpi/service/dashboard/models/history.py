"""Who let which version serve, when and why: from the audit log."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import marked

SHOWN = 25
_ACTIONS = {
    "train": marked("trained"),
    "retrain": marked("retrained"),
    "upload": marked("registered later"),
    "promote": marked("promoted"),
    "rollback": marked("rolled back"),
}


@dataclass(frozen=True)
class Move:
    """One entry. ``actor`` is empty for who may not see it."""

    at: str
    action: str
    moved: str
    reason: str
    actor: str


def moves(entries: pd.DataFrame, *, with_actors: bool) -> list[Move]:
    """Entries of the audit log about one predictor, newest first."""
    return [_move(entry, with_actors) for entry in entries.to_dict("records")]


def _move(entry: dict[str, object], with_actors: bool) -> Move:
    detail = json.loads(str(entry["detail"]))
    before, after = detail.get("from") or "", detail.get("to") or detail.get("champion") or ""
    action = str(entry["action"])
    return Move(
        at=f.moment(pd.Timestamp(str(entry["at"]))),
        action=_(_ACTIONS[action]) if action in _ACTIONS else action,
        moved=_moved(before, after),
        reason=str(detail.get("reason") or ""),
        actor=str(entry["actor"]) if with_actors else "",
    )


def _moved(before: str, after: str) -> str:
    if not after:
        return ""
    if not before:
        return _("version {after} serves").format(after=after)
    if before == after:
        return _("version {after} goes on").format(after=after)
    return _("version {before} gave way to {after}").format(before=before, after=after)
