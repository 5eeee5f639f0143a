"""A service that answers only who has a key, the keys of every kind, and what each operation of its OpenAPI document can be asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pandas as pd
from running_service import Served, running

from predictkpi.core.access import AccessRole, RowScope
from predictkpi.pipelines.keys import make_key, revoke_key
from predictkpi.pipelines.open_store import open_store
from predictkpi.settings import Settings
from predictkpi.store import Store

NOW = pd.Timestamp.now("UTC").tz_localize(None)


@dataclass(frozen=True)
class Guarded:
    """The service, its store and its keys by what they are: a role, ``expired``, ``revoked``, ``narrow`` (held to one owner)."""

    service: Served
    store: Store
    keys: Mapping[str, str]
    owner: str

    def ask(self, method: str, path: str, key: str | None, **given) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key is not None else {}
        return self.service.client.request(method, path, headers=headers | given.pop("headers", {}), **given)


@contextmanager
def guarded_service(settings: Settings, owner: str) -> Iterator[Guarded]:
    store = open_store(settings)
    keys = {role.value: make_key(store, f"a {role.value}", role, now=NOW)[1] for role in AccessRole}
    keys["narrow"] = make_key(store, "one rep", AccessRole.MANAGER, now=NOW, rows=RowScope("owner", frozenset({owner})))[1]
    long_ago = NOW - pd.Timedelta(days=9)
    keys["expired"] = make_key(store, "late", AccessRole.ADMIN, now=long_ago, expires_at=NOW - pd.Timedelta(days=1))[1]
    gone, keys["revoked"] = make_key(store, "gone", AccessRole.ADMIN, now=NOW)
    revoke_key(store, gone.key_id, now=NOW)
    with running(settings) as service:
        service.wait_until_ready()
        yield Guarded(service, store, keys, owner)
    store.close()
