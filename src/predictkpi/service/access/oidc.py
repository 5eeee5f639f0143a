"""Bearer tokens of the company's identity provider: OpenID Connect discovery, and access tokens as RFC 9068 (JWT) describes them.

Signatures are checked by joserfc, the part of Authlib that does so; keys are fetched from the issuer, again when a token names a new one.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests

from predictkpi.core.access import NARROWABLE, AccessRole, Caller, RowScope, ScopeKind
from predictkpi.errors import SettingsError
from predictkpi.service.problems import NotReadyError, UnauthenticatedError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

log = logging.getLogger(__name__)

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Asymmetric ones only: with a shared secret whoever can check a token could make one."""
FETCH_SECONDS = 5.0
LEEWAY_SECONDS = 30
LEAST_SECONDS_BETWEEN_FETCHES = 30.0
MOST_KNOWN = 2_000
_ROWS_CLAIMS: Mapping[ScopeKind, str] = {"team": "predictkpi_teams", "owner": "predictkpi_owners"}


class Oidc:
    """Reads tokens of one issuer. ``roles_claim`` holds one or several role names, ``rows_claims`` may hold teams or owners."""

    def __init__(self, issuer: str, audience: str, *, roles_claim: str = "roles", per_minute: int | None = None) -> None:
        try:
            import joserfc  # noqa: F401
        except ImportError as error:
            raise SettingsError("oidc_issuer needs the extra oidc: pip install 'predictkpi[oidc]'") from error
        self.issuer = issuer
        self._audience = audience
        self._roles_claim = roles_claim
        self._per_minute = per_minute
        self._keys: KeySet | None = None
        self._fetched_at = -LEAST_SECONDS_BETWEEN_FETCHES
        self._known: dict[bytes, tuple[Caller, float]] = {}
        self._lock = threading.Lock()

    def known(self, token: str, now: float) -> Caller | None:
        """The caller of a token that was read before and still holds; ``now`` in seconds since 1970."""
        found = self._known.get(_digest(token))
        return found[0] if found is not None and now < found[1] else None

    def read(self, token: str, now: float) -> Caller:
        """Check a token, which may take a visit to the issuer: call it from a thread.

        Raises `UnauthenticatedError`, which says why and nothing of the token, and `NotReadyError` where the issuer is away.
        """
        from joserfc.errors import InvalidKeyIdError, JoseError
        from joserfc.jwt import JWTClaimsRegistry, decode

        try:
            try:
                found = decode(token, self._key_set(), algorithms=ALGORITHMS)
            except InvalidKeyIdError:
                found = decode(token, self._key_set(again=True), algorithms=ALGORITHMS)
            rules = JWTClaimsRegistry(
                now=int(now),
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self._audience},
                exp={"essential": True},
                sub={"essential": True},
            )
            rules.validate(found.claims)
        except (JoseError, ValueError) as error:
            raise UnauthenticatedError(f"the token cannot be used: {type(error).__name__.removesuffix('Error')}: {error}") from error
        caller = self._caller(found.claims)
        with self._lock:
            if len(self._known) >= MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[_digest(token)] = (caller, float(found.claims["exp"]) + LEEWAY_SECONDS)
        return caller

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        said = claims.get(self._roles_claim, [])
        named = said.split() if isinstance(said, str) else [str(each) for each in said] if isinstance(said, list) else []
        roles = [role for role in reversed(AccessRole) if role.value in named]
        if not roles:
            known = ", ".join(role.value for role in AccessRole)
            raise UnauthenticatedError(f"the token's claim {self._roles_claim!r} names none of the roles {known}")
        rows = _rows(claims)
        if rows is not None and roles[0] not in NARROWABLE:
            raise UnauthenticatedError(f"the token's role {roles[0].value} sees all rows, and its claims hold it to {rows}")
        name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        return Caller(f"oidc:{claims['sub']}", name, roles[0], rows, self._per_minute)

    def _key_set(self, *, again: bool = False) -> KeySet:
        from joserfc.jwk import KeySet

        with self._lock:
            is_due = time.monotonic() - self._fetched_at >= LEAST_SECONDS_BETWEEN_FETCHES
            if (self._keys is None or again) and is_due:
                self._fetched_at = time.monotonic()
                try:
                    told = self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
                    if told.get("issuer") != self.issuer:
                        raise ValueError(f"it calls itself {told.get('issuer')!r}")
                    self._keys = KeySet.import_key_set(self._get(str(told["jwks_uri"])))  # type: ignore[arg-type]
                except (requests.RequestException, ValueError, KeyError) as error:
                    log.error("the keys of the issuer %s cannot be fetched: %s", self.issuer, error)
            if self._keys is None:
                raise NotReadyError(f"the keys of the issuer {self.issuer} cannot be fetched", missing=["keys of the issuer"])
            return self._keys

    def _get(self, url: str) -> dict[str, Any]:
        answer = requests.get(url, timeout=FETCH_SECONDS)
        answer.raise_for_status()
        return dict(answer.json())


def _rows(claims: Mapping[str, Any]) -> RowScope | None:
    """What the claims ``predictkpi_teams`` or ``predictkpi_owners`` hold the caller to; refuses what cannot be meant."""
    named: dict[ScopeKind, Any] = {kind: claims[claim] for kind, claim in _ROWS_CLAIMS.items() if claim in claims}
    if len(named) > 1:
        raise UnauthenticatedError("the token's claims name teams and owners; only one of them can hold")
    for kind, said in named.items():
        members = [said] if isinstance(said, str) else said
        if not isinstance(members, list) or not all(isinstance(member, str) for member in members):
            raise UnauthenticatedError(f"the token's claim {_ROWS_CLAIMS[kind]!r} must be text, or a list of it")
        return RowScope(kind, frozenset(members))
    return None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
