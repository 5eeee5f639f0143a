"""What a write-back needs of a CRM: which deals are still open there, and setting fields by record id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Value = str | float | None
"""As it is sent; None empties the field."""
REMEMBERED = "what was written is remembered: write back again later, and it goes on there"


@dataclass(frozen=True)
class Refusal:
    """A record that the CRM did not take, and why, in its words."""

    record_id: str
    reason: str


class Crm(Protocol):
    """A CRM to write to. Setting values by id is idempotent, so a batch of unknown outcome is simply written again."""

    batch_size: int
    """Most records of one `write`."""

    def open_deals(self, object_: str, ids: Sequence[str]) -> set[str]:
        """Those of the ids that are there and not closed; raises `DeliveryError`."""
        ...

    def write(self, object_: str, records: Mapping[str, Mapping[str, Value]]) -> list[Refusal]:
        """Set fields of these records; those that were refused. Raises `DeliveryError` where the whole batch cannot be written."""
        ...
