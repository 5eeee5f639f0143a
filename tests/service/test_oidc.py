"""Bearer tokens of an identity provider: whose they are, and every way in which one does not count."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from issuer import AUDIENCE, running_issuer
from joserfc.jwk import RSAKey
from running_service import running, settings_in

from predictkpi.core.access import AccessRole, RowScope
from predictkpi.errors import SettingsError
from predictkpi.service.access import oidc as module
from predictkpi.service.access.oidc import Oidc
from predictkpi.service.problems import NotReadyError, UnauthenticatedError
from predictkpi.settings import read_settings

SOON = time.time()


@pytest.fixture
def issuer():
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def oidc(issuer):
    return Oidc(issuer.url, AUDIENCE)


def test_token__says_who_asks_and_what_they_may(issuer, oidc):
    caller = oidc.read(issuer.token(preferred_username="dana", roles=["viewer", "manager"], predictkpi_teams=["North"]), SOON)
    assert (caller.id, caller.name, caller.role) == ("oidc:u-1", "dana", AccessRole.MANAGER)
    assert caller.rows == RowScope("team", frozenset({"North"}))
    assert oidc.read(issuer.token(roles="viewer profile"), SOON).role is AccessRole.VIEWER
    assert oidc.read(issuer.token(aud=["other", AUDIENCE], predictkpi_owners="Ann"), SOON).rows == RowScope("owner", frozenset({"Ann"}))


REFUSED = {
    "expired": {"exp": int(SOON) - 120},
    "without an expiry": {"exp": None},
    "not yet": {"nbf": int(SOON) + 3600},
    "of another issuer": {"iss": "https://login.example"},
    "for another service": {"aud": "payroll"},
    "for nobody": {"aud": None},
    "of nobody": {"sub": None},
    "without a role": {"roles": ["sales"]},
    "with no roles at all": {"roles": None},
    "with roles of another kind": {"roles": {"viewer": True}},
    "held to rows in a role that sees all": {"roles": ["scientist"], "predictkpi_teams": ["North"]},
    "held to teams and owners": {"predictkpi_teams": ["North"], "predictkpi_owners": ["Ann"]},
    "held to a number": {"predictkpi_teams": 7},
    "held to a list of other things": {"predictkpi_owners": ["Ann", 7]},
}


@pytest.mark.parametrize("claims", REFUSED.values(), ids=REFUSED)
def test_token__that_does_not_count_is_refused(issuer, oidc, claims):
    token = issuer.token(**claims)
    with pytest.raises(UnauthenticatedError) as refused:
        oidc.read(token, SOON)
    assert token not in str(refused.value)
    assert oidc.known(token, SOON) is None


def test_token__of_another_key_algorithm_or_none_is_refused(issuer, oidc):
    stranger, good = RSAKey.generate_key(2048, {"kid": "one"}), issuer.token()
    payload = good.split(".")[1]
    unsigned = f"{_base64(json.dumps({'alg': 'none', 'kid': 'one'}).encode())}.{payload}"
    # signed with the published key as if it were a shared secret, which a library that trusts the header would check it with
    confused = f"{_base64(json.dumps({'alg': 'HS256', 'kid': 'one'}).encode())}.{payload}"
    confused += "." + _base64(hmac.new(issuer.key.as_pem(private=False), confused.encode(), hashlib.sha256).digest())
    for token in (issuer.token(key=stranger), f"{unsigned}.", confused, good[:-8] + "AAAAAAAA", "a.b.c", "", "x" * 5000):
        with pytest.raises(UnauthenticatedError):
            oidc.read(token, SOON)
    assert oidc.read(good, SOON)


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def test_token__that_was_read_is_known_until_it_expires(issuer, oidc):
    token = issuer.token(exp=int(SOON) + 60)
    caller = oidc.read(token, SOON)
    assert oidc.known(token, SOON) is caller
    assert oidc.known(token, SOON + 60 + module.LEEWAY_SECONDS) is None
    assert issuer.asked.count("/realms/sales/keys") == 1


def test_keys__are_fetched_anew_for_a_new_key_but_not_for_every_bad_token(issuer, oidc, monkeypatch):
    old = issuer.token()
    assert oidc.read(old, SOON)
    issuer.rotate()
    with pytest.raises(UnauthenticatedError):
        oidc.read(issuer.token(), SOON)  # within the time in which keys are not fetched again
    assert issuer.asked.count("/realms/sales/keys") == 1
    monkeypatch.setattr(module, "LEAST_SECONDS_BETWEEN_FETCHES", 0.0)
    assert oidc.read(issuer.token(), SOON)
    with pytest.raises(UnauthenticatedError):
        oidc.read(issuer.token(key=RSAKey.generate_key(2048, {"kid": "one"})), SOON)


def test_issuer__that_is_away_is_told_so_and_its_last_keys_hold(issuer, oidc, monkeypatch):
    monkeypatch.setattr(module, "LEAST_SECONDS_BETWEEN_FETCHES", 0.0)
    issuer.is_away = True
    with pytest.raises(NotReadyError, match="cannot be fetched"):
        oidc.read(issuer.token(), SOON)
    issuer.is_away = False
    assert oidc.read(issuer.token(), SOON)
    issuer.is_away = True
    assert oidc.read(issuer.token(sub="u-2"), SOON).id == "oidc:u-2"


def test_issuer__that_calls_itself_otherwise_is_not_believed(issuer):
    with pytest.raises(NotReadyError):
        Oidc(issuer.url + "/", AUDIENCE).read(issuer.token(), SOON)


def test_oidc__needs_an_audience_and_the_message_holds_no_secret(issuer):
    with pytest.raises(SettingsError, match="oidc_issuer needs oidc_audience") as refused:
        read_settings(oidc_issuer=issuer.url, webhook_secret="whsec_of_ours")
    assert "whsec_of_ours" not in str(refused.value)


def test_service__takes_tokens_beside_keys(issuer, tmp_path):
    own = settings_in(tmp_path, oidc_issuer=issuer.url, oidc_audience=AUDIENCE)
    with running(own) as service:

        def ask(token):
            return service.client.get("/v1/me", headers={"Authorization": f"Bearer {token}"} if token else {})

        service.until(lambda: ask(None).status_code == 401)
        answer = ask(issuer.token(preferred_username="dana", roles=["scientist"]))
        assert answer.status_code == 200, answer.text
        assert (answer.json()["name"], answer.json()["role"]) == ("dana", "scientist")
        assert ask(issuer.token(exp=int(SOON) - 120)).status_code == 401
        assert ask("nonsense").json()["type"] == "/problems/unauthenticated"
