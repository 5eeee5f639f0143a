"""Changes: which version served a week ago, and what has moved deals since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictkpi.core.types import ModelRef
from predictkpi.errors import ArtifactError, NotFoundError, RegistryError
from predictkpi.predictors.close_time.changes import Change, Week, change_of
from predictkpi.protocol import Predictor
from predictkpi.registry import Registry

if TYPE_CHECKING:
    from predictkpi.store import Store


@dataclass(frozen=True)
class Then:
    """Who answered a week ago: ``version``, None where none is known. Without ``previous`` the current one answers for then too.

    ``note`` says why there is no previous one; it may have been the same.
    """

    version: str | None
    previous: Predictor | None
    note: str


@dataclass(frozen=True)
class WeekChange:
    """A deal's change; ``version_before`` is the version that scored last before that week, None where none is known.

    ``notes`` are those of the change and what is to say about the version.
    """

    change: Change
    version_before: str | None
    notes: tuple[str, ...]


def answered_then(store: Store, load: Callable[[str], Predictor], week: Week, *, ref: ModelRef) -> Then:
    """Who answered a week before ``ref`` does; ``load`` gets a version, or raises what the registry raises.

    The version of then is the one that wrote the newest predictions (`predictkpi score`) by then: the registry keeps no history of its
    aliases. Where none is known, or it cannot be loaded, the current version answers for then too, the model's part is 0, and the note
    says so.
    """
    version = store.scored_version(ref.predictor, until=week.then.as_of)
    if version is None:
        return Then(None, None, "nothing was scored by then, so the version of then is not known: the model's part is taken as 0")
    if version == ref.version:
        return Then(version, None, f"version {version} answered then as now: the model's part is 0")
    try:
        return Then(version, load(version), "")
    except (ArtifactError, NotFoundError, RegistryError) as error:
        return Then(version, None, f"version {version} answered then and cannot be loaded ({error}): the model's part is taken as 0")


def week_change(store: Store, registry: Registry, entity_id: str, week: Week, *, predictor: Predictor, ref: ModelRef) -> WeekChange:
    """Split the change of one open deal since a week ago; who answered then is found out as `answered_then` says.

    Raises as `change_of`.
    """
    then = answered_then(store, lambda version: registry.version(ref.predictor, version)[0], week, ref=ref)
    return change_since(then, entity_id, week, predictor=predictor)


def change_since(then: Then, entity_id: str, week: Week, *, predictor: Predictor) -> WeekChange:
    """The same, where it is known who answered then."""
    change = change_of(entity_id, week, current=predictor, previous=then.previous)
    notes = (*change.notes, then.note) if then.note and change.before is not None else change.notes
    return WeekChange(change, then.version, notes)
