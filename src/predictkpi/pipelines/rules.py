"""The company's own rules, from the models folder: where a light changes (targets.yaml), and when an alert is raised (alerts.yaml)."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from predictkpi.errors import SettingsError
from predictkpi.pipelines.candidates import read_yaml

TARGETS = "targets.yaml"
ALERTS = "alerts.yaml"
Rule = TypeVar("Rule", bound=BaseModel)


def read_rule(kind: type[Rule], path: Path) -> Rule:
    """The rule as that file has it, its defaults without the file; raises `SettingsError` naming file, key and value."""
    try:
        return kind.model_validate(dict(read_yaml(path)))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'rule'}={e.get('input')!r}: {e['msg']}" for e in error.errors()]
        raise SettingsError(f"{path}: {'; '.join(lines)}") from error
