"""Examples made from schemas, for every body and answer that states none of its own."""

from __future__ import annotations

from typing import Any

_DEEPEST = 8
_BY_FORMAT = {"date-time": "2026-01-01T00:00:00", "local-date-time": "2026-01-01T00:00:00", "date": "2026-01-01"}
_BY_TYPE = {"string": "text", "number": 1.0, "integer": 1, "boolean": True, "object": {}}


class Examples:
    """Examples in terms of a document's ``schemas``."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self.schemas = schemas

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A schema itself, or the one that it refers to."""
        reference = schema.get("$ref", "")
        return self.schemas[reference.rpartition("/")[2]] if reference else schema

    def of(self, schema: dict[str, Any], depth: int = 0) -> Any:
        """A value that fits: the schema's own example, else one made from its members."""
        if schema.get("examples"):
            return schema["examples"][0]
        if "default" in schema and schema["default"] is not None:
            return schema["default"]
        schema = self.resolve(schema)
        if "example" in schema or schema.get("examples"):
            return schema.get("example", (schema.get("examples") or [None])[0])
        if depth > _DEEPEST:
            return None
        if "anyOf" in schema:
            return self.of(schema["anyOf"][0], depth + 1)
        if "enum" in schema or "const" in schema:
            return schema.get("const", schema.get("enum", [None])[0])
        if "properties" in schema:
            return {name: self.of(member, depth + 1) for name, member in schema["properties"].items()}
        if schema.get("type") == "array":
            return [self.of(schema.get("items", {}), depth + 1)]
        if isinstance(schema.get("additionalProperties"), dict):
            key = self.of(schema["propertyNames"], depth + 1) if "propertyNames" in schema else "name"
            return {key: self.of(schema["additionalProperties"], depth + 1)}
        return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(schema.get("type", "")))
