"""The only door for writes: facts, rejects and predictions in SQLite or PostgreSQL.

Facts are append-only. What a load offers becomes versions by the rules of `versions`; a load is one transaction, so a killed process
leaves the store as it was before that load or as it is after it.
"""

from __future__ import annotations

from predictkpi.store.loading import Counts, Load
from predictkpi.store.outbox import Delivery, Letter, MovedMarks
from predictkpi.store.store import Store

__all__ = ["Counts", "Delivery", "Letter", "Load", "MovedMarks", "Store"]
