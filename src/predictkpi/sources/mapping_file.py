"""From a YAML file to a `Mapping`, with every fault told by file, key and what was probably meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from predictkpi.core.types import Company
from predictkpi.errors import MappingError
from predictkpi.sources.mapping import Attribute, Dates, Feed, Join, Mapping, Reading, near


class _Loader(yaml.BaseLoader):
    """All scalars are text: YAML's own guesses would turn ``on``, ``No`` and ``0012`` into something else."""


def _unique_keys(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} cannot be a key", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", key_node.start_mark)
        seen[key] = loader.construct_object(value_node, deep=True)
    shared = seen.pop("<<", {})
    if not isinstance(shared, dict):
        raise yaml.constructor.ConstructorError(None, None, f"<<: {shared!r} is no mapping whose keys could be shared", node.start_mark)
    return {**shared, **seen}


_Loader.add_constructor("tag:yaml.org,2002:map", _unique_keys)

_MODELS: dict[str, type[BaseModel]] = {
    "company": Company,
    "defaults": Reading,
    "feeds": Feed,
    "dates": Dates,
    "join": Join,
    "attributes": Attribute,
}


def read_mapping(path: Path) -> Mapping:
    """The mapping in that file; raises `MappingError` that names the file, the key and what was probably meant."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  of texts only
    except (OSError, UnicodeDecodeError) as error:
        raise MappingError(f"{path}: the mapping cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise MappingError(f"{path}: no valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise MappingError(f"{path}: no valid YAML: lists or mappings are nested too deeply") from None
    try:
        return Mapping.model_validate(data)
    except ValidationError as error:
        all_found = error.errors()
        of_defaults = {(*found["loc"][1:], found["msg"]) for found in all_found if found["loc"][:1] == ("defaults",)}
        # What the defaults have wrong, every feed has wrong: say it once.
        once = [found for found in all_found if found["loc"][:1] != ("feeds",) or (*found["loc"][2:], found["msg"]) not in of_defaults]
        lines = [_line(path, dict(found), data) for found in once]
        raise MappingError("\n".join(dict.fromkeys(lines))) from error


def _line(path: Path, found: dict[str, Any], data: Any) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found["loc"]).lstrip(".")
    message = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        parent = next((part for part in reversed(found["loc"][:-1]) if part in _MODELS), "")
        names = list(_MODELS.get(str(parent), Mapping).model_fields)
        message = f"no such key{near(str(found['loc'][-1]), names)}; there are: {', '.join(names)}"
    table = _fed_table(found["loc"], data)
    return f"{path}: {where}{table}: {message}" if where else f"{path}: {message}"


def _fed_table(loc: tuple[int | str, ...], data: Any) -> str:
    """Which feed that is, for a reader who does not count from zero."""
    if len(loc) > 1 and loc[0] == "feeds" and isinstance(loc[1], int):
        feed = data["feeds"][loc[1]]
        if isinstance(feed, dict):
            return f" ({feed.get('table', '?')} from {feed.get('file', '?')})"
    return ""
