"""Names of revenue series: ``total``, ``region=EMEA``, and crossed ``region=EMEA&segment=SMB``, dimensions in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from predictkpi.core import columns as c
from predictkpi.errors import SettingsError, UnknownNameError

Crossed = Sequence[Sequence[str]]
"""Pairs of dimensions."""

DIMENSIONS = (c.SEGMENT, c.REGION, c.CHANNEL, c.PRODUCT, c.TEAM)
CROSSED: Crossed = ((c.SEGMENT, c.REGION),)
_JOINT = re.compile(r"&(?=\w+=)")
_LIKE_WRITTEN = re.compile(r"%(?=2[56])")
_WRITTEN = re.compile(r"%2([56])")
_READ = {"5": "%", "6": "&"}


def entity_id_of(scope: Mapping[str, str]) -> str:
    """``{}`` is the total. An "&" of a member that would read as the next dimension is written "%26", a "%" that would read so "%25"."""
    return "&".join(f"{dimension}={_written(scope[dimension])}" for dimension in sorted(scope)) or c.TOTAL


def scope_of(entity_id: str) -> dict[str, str]:
    """Members by dimension, none for the total; the inverse of `entity_id_of`. A name that is neither is a scope of no dimension too."""
    parts = [part.partition("=") for part in _JOINT.split(entity_id)]
    return {dimension: _WRITTEN.sub(lambda found: _READ[found[1]], member) for dimension, equals, member in parts if equals}


def _written(member: str) -> str:
    return _JOINT.sub("%26", _LIKE_WRITTEN.sub("%25", member))


def dimensions_of(entity_id: str) -> str:
    """``region,segment`` of a crossed series, ``region`` of a member, empty for the total: what ``by`` names."""
    return ",".join(sorted(scope_of(entity_id)))


def series_by(entity_ids: Iterable[str], by: str) -> list[str]:
    """The series of a dimension, or of crossed ones separated by commas in any order; none where nothing is told apart like that."""
    wanted = ",".join(sorted(part.strip() for part in by.split(",")))
    return [entity_id for entity_id in entity_ids if wanted and dimensions_of(entity_id) == wanted]


def label_of(entity_id: str) -> str:
    """A name for people: ``EMEA · SMB (region, segment)``."""
    scope = scope_of(entity_id)
    return f"{' · '.join(scope.values())} ({', '.join(scope)})" if scope else "Total"


def checked_pairs(crossed: Crossed) -> list[list[str]]:
    """The pairs as given; raises `SettingsError` for what is no pair of two dimensions, and `UnknownNameError` for an unknown one."""
    for pair in crossed:
        for dimension in pair:
            if dimension not in DIMENSIONS:
                raise UnknownNameError.among("dimension", dimension, known=DIMENSIONS)
        if len(set(pair)) != 2 or len(pair) != 2:
            raise SettingsError(f"revenue: crossed={list(pair)}: two different dimensions make a pair")
    return [list(pair) for pair in crossed]
