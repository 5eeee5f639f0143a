"""`predictkpi keys`: shown once, listed without the key, taken back."""

from __future__ import annotations

import json
import sys

import pytest

from predictkpi.cli import main


@pytest.fixture
def keys(tmp_path, monkeypatch, capsys):
    """``keys("list")`` -> (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["predictkpi", "keys", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return run


def test_keys__are_shown_once_listed_and_taken_back(keys):
    code, secret, told = keys("create", "salesforce", "--role", "crm", "--owner", "Ann", "--expires-in", "4w", "--per-minute", "60")
    assert code == 0
    assert "not shown again" in told
    secret = secret.strip()
    _, listed, _ = keys("list", "--format", "json")
    assert secret not in listed
    (key,) = json.loads(listed)
    assert (key["name"], key["role"], key["rows"], key["per_minute"], key["state"]) == ("salesforce", "crm", "owner Ann", 60, "active")
    assert secret.startswith(key["key_id"])
    assert keys("revoke", key["key_id"])[0] == 0
    assert json.loads(keys("list", "--format", "json")[1])[0]["state"] == "revoked"
    assert "salesforce" in keys("list")[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create", "x", "--role", "admin", "--expires-in", "soon"), "write hours, days or weeks"),
        (("create", "x", "--role", "viewer", "--team", "A", "--owner", "B"), "not both"),
        (("create", "x", "--role", "admin", "--team", "A"), "sees all rows"),
        (("revoke", "pkpi_none"), "keys list"),
    ],
)
def test_keys__say_what_is_wrong(keys, arguments, told):
    code, printed, error = keys(*arguments)
    assert code == 1
    assert printed == ""
    assert told in " ".join(error.split())


def test_accesses__before_anybody_asked_say_so(keys):
    assert "nothing yet" in keys("accesses")[2]
    assert json.loads(keys("accesses", "--format", "json")[1]) == []
