"""The compose file holds no secret and what the tests run; the README beside it names what is there."""

from __future__ import annotations

import re

from tracking.server import COMPOSE, ROOT

README = (ROOT / "mlflow" / "README.md").read_text(encoding="utf-8")
TEXT = (ROOT / "mlflow" / "compose.yaml").read_text(encoding="utf-8")
SERVICES = COMPOSE["services"]


def test_compose__passwords_are_required_from_outside_with_a_message():
    found = {
        name: value for service in SERVICES.values() for name, value in service["environment"].items() if re.search("PASSWORD|SECRET", name)
    }
    assert set(found) == {"POSTGRES_PASSWORD", "PGPASSWORD"}
    assert all(re.fullmatch(r"\$\{MLFLOW_POSTGRES_PASSWORD:\?.+\}", value) for value in found.values())
    assert "@" not in SERVICES["mlflow"]["environment"]["MLFLOW_BACKEND_STORE_URI"]


def test_compose__every_service_is_checked_and_keeps_its_data_in_a_volume():
    for name, service in SERVICES.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(COMPOSE["volumes"])
    assert SERVICES["mlflow"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    destination = next(word.split("=")[1] for word in SERVICES["mlflow"]["command"] if word.startswith("--artifacts-destination"))
    assert destination in {volume.split(":")[1] for volume in SERVICES["mlflow"]["volumes"]}


def test_compose__is_reached_from_this_machine_alone_by_default():
    (port,) = SERVICES["mlflow"]["ports"]
    assert port.startswith("${MLFLOW_BIND:-127.0.0.1}:")
    assert "ports" not in SERVICES["postgres"]


def test_compose__installs_the_versions_that_the_tests_run():
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8"), flags=re.MULTILINE))
    installed = re.findall(r"([\w-]+)(?:\[binary\])?==([\w.]+)", SERVICES["mlflow"]["build"]["dockerfile_inline"])
    assert dict(installed) == {name: pins[name] for name in ("mlflow", "psycopg")}


def test_readme__lists_every_variable_of_the_compose_file_with_its_default():
    used = dict(re.findall(r"\$\{(\w+)(?::-([^}]*))?", TEXT))
    listed = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)?", README, flags=re.MULTILINE))
    assert listed == used
