"""Rules in YAML, from the models folder: read, checked, and told what is wrong with them by file, key, value and way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from predictkpi.errors import SettingsError

TARGETS = "targets.yaml"
ALERTS = "alerts.yaml"
RETENTION = "retention.yaml"
Rule = TypeVar("Rule", bound=BaseModel)


def read_rule(kind: type[Rule], path: Path) -> Rule:
    """The rule as that file has it, its defaults without the file; see `checked_rule`."""
    return checked_rule(kind, dict(read_yaml(path)), path)


def checked_rule(kind: type[Rule], content: object, path: Path, *, within: str = "") -> Rule:
    """The rule that ``content`` states, ``within`` a key of that file; `SettingsError` names file, key, value, and the keys there are."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        lines = []
        for wrong in error.errors():
            key = ".".join(map(str, [within, *wrong["loc"]] if within else wrong["loc"])) or "rule"
            known = f"; there are: {', '.join(kind.model_fields)}" if wrong["type"] == "extra_forbidden" else ""
            message = "no such key" if known else wrong["msg"]
            lines.append(f"{key}={wrong.get('input')!r}: {message}{known}")
        raise SettingsError(f"{path}: {'; '.join(lines)}") from error


def read_yaml(path: Path) -> Mapping[str, Any]:
    """The mapping in that file; empty without the file. Raises `SettingsError` for a file that is none or cannot be read."""
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: must be a mapping of names to values, not a {type(content).__name__}")
    return content
