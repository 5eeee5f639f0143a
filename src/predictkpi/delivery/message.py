"""One event to be told to the outside."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd


@dataclass(frozen=True)
class Message:
    """``type`` is dotted (``monitor.alarm``), ``id`` is what a receiver tells repetitions by, ``timestamp`` (UTC) is when it happened."""

    type: str
    id: str
    timestamp: pd.Timestamp
    data: Mapping[str, Any]

    @classmethod
    def about(cls, type_: str, data: Mapping[str, Any], *, timestamp: pd.Timestamp, identity: Mapping[str, Any] | None = None) -> Self:
        """A message whose id follows from its type and ``identity`` (by default the data): told again, it is the same message.

        Numbers may be NumPy's; one that JSON does not have is told as null.
        """
        told = _plain(data)
        digest = hashlib.sha256(_canonical({"type": type_, "data": told if identity is None else _plain(identity)})).hexdigest()
        return cls(type_, f"msg_{digest[:32]}", timestamp, told)

    def body(self) -> bytes:
        """What is signed and sent: JSON with ``type``, ``timestamp`` (ISO 8601) and ``data``."""
        return _canonical({"type": self.type, "timestamp": f"{self.timestamp.isoformat()}Z", "data": self.data})


def _plain(value: Any) -> Any:
    """The same as JSON has it, all the way down."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    plain = value.item() if hasattr(value, "item") else value
    if not isinstance(plain, float):
        return plain
    return plain + 0.0 if math.isfinite(plain) else None  # a zero without a sign


def _canonical(content: Mapping[str, Any]) -> bytes:
    """Same content, same bytes."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
