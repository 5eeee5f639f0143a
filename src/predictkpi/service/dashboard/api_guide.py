"""The OpenAPI document, arranged for reading: operations by resource, each with parameters, example and errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from predictkpi.service.openapi_examples import Examples

_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Field:
    """A parameter or a member of a body."""

    name: str
    kind: str
    is_required: bool
    description: str
    place: str = ""


@dataclass(frozen=True)
class Operation:
    """One method on one path."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Field]
    body: list[Field]
    request_example: str
    answer: str
    answer_example: str
    errors: list[tuple[str, str]]


@dataclass(frozen=True)
class Group:
    """The operations of one resource."""

    name: str
    description: str
    operations: list[Operation]


@dataclass(frozen=True)
class Guide:
    """The whole page."""

    title: str
    version: str
    paragraphs: list[str]
    groups: list[Group]
    schemas: list[tuple[str, str, list[Field]]]


def guide(document: dict[str, Any]) -> Guide:
    """Arrange an OpenAPI 3.1 document."""
    reader = _Reader(document)
    groups = [Group(tag["name"], tag.get("description", ""), reader.operations(tag["name"])) for tag in document.get("tags", [])]
    info = document["info"]
    schemas = [(name, schema.get("description", ""), reader.members(schema)) for name, schema in sorted(reader.schemas.items())]
    paragraphs = info.get("description", "").split("\n\n")
    return Guide(info["title"], info["version"], paragraphs, [group for group in groups if group.operations], schemas)


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self.paths: dict[str, Any] = document["paths"]
        self.schemas: dict[str, Any] = document["components"]["schemas"]
        self.examples = Examples(self.schemas)

    def operations(self, tag: str) -> list[Operation]:
        found = []
        for path, methods in self.paths.items():
            for method in _METHODS:
                if tag in methods.get(method, {}).get("tags", []):
                    found.append(self.operation(path, method, methods[method]))
        return found

    def operation(self, path: str, method: str, operation: dict[str, Any]) -> Operation:
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        told = {status: response["description"] for status, response in sorted(operation["responses"].items())}
        return Operation(
            anchor=operation["operationId"],
            method=method.upper(),
            path=path,
            summary=operation.get("summary", ""),
            description=operation.get("description", ""),
            parameters=[self.parameter(parameter) for parameter in operation.get("parameters", [])],
            body=self.members(self.examples.resolve(body)) if body else [],
            request_example=self.example_text(body) if body else "",
            answer=self.kind(answer),
            answer_example=self.example_text(answer),
            errors=[(status, text) for status, text in told.items() if status.isdigit() and status >= "400"],
        )

    def parameter(self, parameter: dict[str, Any]) -> Field:
        kind = self.kind(parameter["schema"])
        return Field(parameter["name"], kind, parameter.get("required", False), parameter.get("description", ""), parameter["in"])

    def members(self, schema: dict[str, Any]) -> list[Field]:
        required = schema.get("required", [])
        return [
            Field(
                name,
                self.kind(member),
                name in required,
                member.get("description", "") or self.examples.resolve(member).get("description", ""),
            )
            for name, member in schema.get("properties", {}).items()
        ]

    def kind(self, schema: dict[str, Any]) -> str:
        """A type in words: ``list of Prediction``, ``number or null``."""
        if "$ref" in schema:
            return str(schema["$ref"]).rpartition("/")[2]
        if "anyOf" in schema:
            return " or ".join(self.kind(option) for option in schema["anyOf"])
        if "const" in schema or "enum" in schema:
            return " · ".join(json.dumps(value) for value in schema.get("enum", [schema.get("const")]))
        if schema.get("type") == "array":
            return f"list of {self.kind(schema.get('items', {}))}"
        if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {self.kind(schema['additionalProperties'])}"
        return str(schema.get("format", "").replace("-", " ") or schema.get("type", "anything"))

    def example_text(self, schema: dict[str, Any]) -> str:
        return json.dumps(self.examples.of(schema), indent=2, ensure_ascii=False)
