"""Keys and the log of who saw what, in either database."""

from __future__ import annotations

import pandas as pd
import pytest

from predictkpi.core.access import AccessRole, RowScope
from predictkpi.errors import NotFoundError, SettingsError
from predictkpi.pipelines.keys import PREFIX, hash_of, make_key, revoke_key
from predictkpi.store import Store

NOW = pd.Timestamp("2026-01-02 03:04:05")
LATER = NOW + pd.Timedelta(days=1)


def test_key__is_kept_as_a_hash_with_all_that_was_said_of_it(store):
    rows = RowScope("owner", frozenset({"Ann", "Bo, Ltd"}))
    key, secret = make_key(store, "crm", AccessRole.CRM, now=NOW, rows=rows, per_minute=60, expires_at=LATER)
    assert store.keys.all() == [key]
    assert (key.rows, key.per_minute, key.expires_at) == (rows, 60, LATER)
    assert secret.startswith(f"{key.key_id}_")
    assert key.key_id.startswith(PREFIX)
    assert key.key_hash == hash_of(secret)
    assert len(secret) > len(key.key_id) + 40
    assert secret.removeprefix(key.key_id) not in str(store.audit().to_dict())


def test_key__ends_by_the_clock_or_by_being_revoked_and_stays_on_the_list(store):
    short, _ = make_key(store, "short", AccessRole.VIEWER, now=NOW, expires_at=LATER)
    gone, _ = make_key(store, "gone", AccessRole.VIEWER, now=NOW)
    assert (short.state(NOW), short.state(LATER)) == ("active", "expired")
    revoke_key(store, gone.key_id, now=NOW)
    revoke_key(store, gone.key_id, now=LATER)
    states = {key.name: (key.state(LATER), key.revoked_at) for key in store.keys.all()}
    assert states == {"short": ("expired", None), "gone": ("revoked", NOW)}
    with pytest.raises(NotFoundError, match="keys list"):
        revoke_key(store, "pkpi_none", now=NOW)
    assert store.audit()["action"].tolist() == ["revoke key", "revoke key", "make key", "make key"]


def test_key__that_would_hold_nobody_or_never_is_refused(store):
    with pytest.raises(SettingsError, match="only viewer, manager, crm"):
        make_key(store, "x", AccessRole.SCIENTIST, now=NOW, rows=RowScope("team", frozenset({"North"})))
    with pytest.raises(SettingsError, match="expired already"):
        make_key(store, "x", AccessRole.VIEWER, now=NOW, expires_at=NOW)
    assert store.keys.all() == []


def test_keys__of_a_store_that_was_never_set_up_are_none(tmp_path):
    assert Store(f"sqlite:///{tmp_path}/new.db").keys.all() == []


def test_accesses__add_up_by_day_caller_route_entity_and_outcome(store):
    row = {"day": NOW.normalize(), "actor": "k", "action": "GET /v1/deals/{deal_id}", "subject": "D1", "status": 200, "times": 2}
    store.accesses.add([row | {"first_at": NOW, "last_at": NOW}])
    store.accesses.add([row | {"first_at": LATER, "last_at": LATER, "times": 3}, row | {"first_at": NOW, "last_at": NOW, "status": 404}])
    found = store.accesses.read(subject="D1")
    assert found[["status", "times", "first_at", "last_at"]].values.tolist() == [[200, 5, NOW, LATER], [404, 2, NOW, NOW]]
    assert store.accesses.read(actor="other").empty
    assert len(store.accesses.read(limit=1)) == 1
