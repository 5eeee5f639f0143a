"""Which settings `predictkpi tune` may change, and between which bounds: ``search.yaml`` of the models folder."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from predictkpi.errors import SettingsError
from predictkpi.pipelines.rules import read_yaml
from predictkpi.predictors import predictor_class

SEARCH = "search.yaml"
Value = bool | int | float | str


class _Range(BaseModel):
    """Both ends are included; with ``log`` every doubling is as likely as any other."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> _Range:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, not {self.low:g}")
        return self

    def holds(self, value: object) -> bool:
        """Whether a search could come upon this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class FloatRange(_Range):
    """Any number between two."""

    kind: Literal["float"]


class IntRange(_Range):
    """Whole numbers between two."""

    kind: Literal["int"]
    low: int
    high: int

    def holds(self, value: object) -> bool:
        """Whether a search could come upon this value."""
        return isinstance(value, int) and super().holds(value)


class Choice(BaseModel):
    """One of a few values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["choice"]
    options: tuple[Value, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _distinct(self) -> Choice:
        if len(set(self.options)) < len(self.options):
            raise ValueError("options must differ")
        return self

    def holds(self, value: object) -> bool:
        """Whether a search could come upon this value."""
        return value in self.options


Space = Mapping[str, IntRange | FloatRange | Choice]
_SPACE: TypeAdapter[Space] = TypeAdapter(dict[str, Annotated[IntRange | FloatRange | Choice, Field(discriminator="kind")]])
EXAMPLE = "learning_rate: {kind: float, low: 0.01, high: 0.2, log: true}"


def read_space(predictor: str, models_dir: Path) -> Space:
    """The search space of one predictor.

    Raises `SettingsError` that names file, setting, value and the way out: no such section, no such argument of the constructor, bounds
    that are none, or a bound that the constructor refuses.
    """
    path = models_dir / SEARCH
    sections = read_yaml(path)
    if not sections.get(predictor):
        raise SettingsError(f"{path}: nothing to search for {predictor}: name the settings to try there, e.g. {predictor}: {{{EXAMPLE}}}")
    try:
        space = _SPACE.validate_python(sections[predictor])
    except ValidationError as error:
        lines = [f"{_place(predictor, e['loc'])}={e.get('input')!r}: {e['msg']}" for e in error.errors()]
        raise SettingsError(f"{path}: {'; '.join(lines)}; write it like {EXAMPLE}") from error
    known = [key for key in inspect.signature(predictor_class(predictor)).parameters if key != "random_state"]
    unknown = sorted(set(space) - set(known))
    if unknown:
        raise SettingsError(f"{path}: {predictor} has no setting {', '.join(map(repr, unknown))} to search; there are: {', '.join(known)}")
    _try_the_ends(predictor, space, models_dir)
    return space


def _place(predictor: str, loc: tuple[int | str, ...]) -> str:
    """Field as written in the file: without the kind, which pydantic puts into the path of a union."""
    return ".".join(map(str, (predictor, *loc[:1], *loc[2:])))


def _try_the_ends(predictor: str, space: Space, models_dir: Path) -> None:
    """A value that the constructor refuses is found now and not at trial 40."""
    current = read_yaml(models_dir / f"{predictor}.yaml")
    for name, values in space.items():
        for value in values.options if isinstance(values, Choice) else (values.low, values.high):
            try:
                predictor_class(predictor)(**{**current, name: value})
            except SettingsError as error:
                raise SettingsError(f"{models_dir / SEARCH}: {predictor}.{name}={value!r} is refused: {error}") from error


def plain(space: Space) -> dict[str, Any]:
    """The space as JSON takes it."""
    return {name: values.model_dump(mode="json") for name, values in space.items()}
