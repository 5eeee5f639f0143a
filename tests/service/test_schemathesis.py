"""The running service answers as its OpenAPI document says, to requests that schemathesis makes from that document.

``PREDICTKPI_EXAMPLES=5000 pytest tests/service/test_schemathesis.py`` asks some thousands of times more, in some minutes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
EXAMPLES = int(os.environ.get("PREDICTKPI_EXAMPLES", 0))
LEAST_CASES = 250


def test_service__answers_every_request_as_its_document_says(guarded):
    """Every check there is, as an admin, in a process of its own; exceptions are in ``schemathesis_hooks.py``."""
    url, operations = guarded.service.url, sum(map(len, guarded.service.app.openapi()["paths"].values()))
    phases, each = ("examples,coverage,fuzzing,stateful", EXAMPLES // operations) if EXAMPLES else ("fuzzing,stateful", 4)
    said = ["--phases", phases, "--max-examples", str(each), "--header", f"Authorization: Bearer {guarded.keys['admin']}"]
    command = [Path(sys.executable).with_name("st"), "--config-file", "schemathesis.toml", "run", f"{url}/openapi.json", *said]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    ended = subprocess.run(command, cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert ended.returncode == 0, ended.stdout[-20_000:]
    made = re.search(r"(\d+) generated", ended.stdout)
    assert int(made[1]) >= max(LEAST_CASES, EXAMPLES), ended.stdout[-2_000:]
