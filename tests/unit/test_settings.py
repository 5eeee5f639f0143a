from __future__ import annotations

import pytest

from predictkpi.errors import SettingsError
from predictkpi.settings import FOR_TESTS, Settings, read_settings
from predictkpi.store import Store


@pytest.mark.parametrize("shown", [repr, str, "{}".format])
def test_settings__show_no_password(shown):
    settings = Settings(
        database_url="postgresql://me:s3cret@host/facts", MLFLOW_TRACKING_URI="https://me:s3cret@mlflow.example", host="0.0.0.0"
    )
    assert "s3cret" not in shown(settings)
    assert "database_url='postgresql://me:***@host/facts'" in shown(settings)
    assert "s3cret" in settings.database_url


def test_store__a_url_that_is_none_tells_no_password():
    """An @ in the password: what follows it is taken for the host and its port."""
    with pytest.raises(SettingsError, match="Write it as %40") as caught:
        Store("postgresql://me:half@of:s3cret@host/facts")
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)


def test_settings__leave_the_variables_of_the_tests_alone(monkeypatch):
    for name in FOR_TESTS:
        monkeypatch.setenv(name, "50")
    assert read_settings().port == 8000


def test_settings__show_neither_webhook_nor_its_secret(monkeypatch):
    monkeypatch.setenv("PREDICTKPI_WEBHOOK_URL", "https://example.com/t0ken")
    monkeypatch.setenv("PREDICTKPI_WEBHOOK_SECRET", "whsec_abc")
    settings = read_settings()
    assert settings.webhook_url.get_secret_value() == "https://example.com/t0ken"
    for shown in (repr(settings), str(settings), str(settings.model_dump())):
        assert "t0ken" not in shown
        assert "whsec_abc" not in shown
    with pytest.raises(SettingsError, match="webhook_secret='\\*\\*\\*'") as caught:
        read_settings(webhook_secret=["whsec_abc"])
    assert "whsec_abc" not in str(caught.value)
