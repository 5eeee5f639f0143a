"""Signatures of Standard Webhooks, version 1: who holds the secret can tell that a message is ours, whole and fresh."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

from predictkpi.errors import SettingsError

PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_SECONDS = 300
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> str:
    """A random secret of 32 bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The key that a secret spells; raises `SettingsError`, which does not show it."""
    try:
        if not secret.startswith(PREFIX):
            raise ValueError(f"it does not begin with {PREFIX}")
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
            raise ValueError(f"it has {len(key)} bytes")
    except (ValueError, binascii.Error) as error:
        raise SettingsError(
            f"no webhook secret ({error}): write {PREFIX} and {_FEWEST_BYTES} to {_MOST_BYTES} random bytes in base64, such as "
            f"`echo {PREFIX}$(openssl rand -base64 32)` makes"
        ) from None
    return key


def sign(secret: str, *, id_: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``; ``timestamp`` in seconds since 1970."""
    signed = b".".join([id_.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float) -> bool:
    """What a receiver does: whether a message is genuine and within `TOLERANCE_SECONDS` of now. One of several signatures will do."""
    try:
        timestamp = int(headers[TIMESTAMP])
        expected = sign(secret, id_=headers[ID], timestamp=timestamp, body=body)
        offered = headers[SIGNATURE].split(" ")
    except (KeyError, ValueError):
        return False
    return abs(now - timestamp) <= TOLERANCE_SECONDS and any(hmac.compare_digest(expected, each) for each in offered)
