"""What the image runs, run without an engine: its health check against a real service, its commands on PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tracking.server import free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = re.sub(r"\\\n\s*", " ", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
HEALTH = json.loads(re.search(r"^HEALTHCHECK .*?CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)[1])
SERVE = json.loads(re.search(r"^CMD (\[.*\])$", DOCKERFILE, flags=re.MULTILINE)[1])
START_SECONDS = 60


def is_healthy(port: int) -> bool:
    """What the container's health check says of a service on that port of this machine."""
    environment = os.environ | {"PREDICTKPI_PORT": str(port)}
    return subprocess.run([sys.executable, *HEALTH[1:]], env=environment, stderr=subprocess.DEVNULL).returncode == 0


def program(*arguments: str) -> list[str]:
    """The image's entry point in this environment."""
    return [sys.executable, "-c", "from predictkpi.cli import main; main()", *arguments]


@pytest.fixture
def environment(postgres, tmp_path):
    """What the compose file sets, with this test's database, and a folder of its own in place of the volume."""
    service = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]["service"]
    ours = {"PREDICTKPI_DATABASE_URL": postgres.new_database(), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/tracking.db"}
    assert set(ours) | {"PGPASSWORD"} == set(service["environment"])
    ours |= {"PREDICTKPI_ARTIFACT_ROOT": f"{tmp_path}/artifacts", "PREDICTKPI_MODELS_DIR": str(ROOT / "models"), "HOME": str(tmp_path)}
    return os.environ | ours | {"PGPASSWORD": "not asked for"}


def test_health_check__tells_a_service_that_answers_from_one_that_does_not(served):
    assert is_healthy(urlsplit(served.url).port)
    assert not is_healthy(free_port())


def test_serve__on_an_empty_postgresql_lives_is_not_ready_and_stops_in_peace(environment, tmp_path):
    port = free_port()
    arguments = [{"0.0.0.0": "127.0.0.1"}.get(word, word) for word in SERVE]
    with subprocess.Popen(program(*arguments, "--port", str(port)), env=environment, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while not is_healthy(port):
                assert process.poll() is None, process.stderr.read().decode()
                assert time.monotonic() < deadline, "the service did not come up"
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=10)
            assert refused.value.code == 503
            refused.value.close()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)


def test_jobs__run_on_postgresql(environment, tmp_path):
    run = subprocess.run(program("retain"), env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "audit_log" in run.stdout
