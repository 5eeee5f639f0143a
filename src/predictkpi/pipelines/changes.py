"""Changes: which version served a week ago, and what has moved a deal since."""

from __future__ import annotations

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
class WeekChange:
    """A deal's change; ``version_before`` is the version that scored last before that week, None where none is known.

    ``notes`` are those of the change and what is to say about the version.
    """

    change: Change
    version_before: str | None
    notes: tuple[str, ...]


def week_change(store: Store, registry: Registry, entity_id: str, week: Week, *, predictor: Predictor, ref: ModelRef) -> WeekChange:
    """Split the change of one open deal since a week ago.

    The version of then is the one that wrote the newest predictions (`predictkpi score`) by then: the registry keeps no history of its
    aliases. Where none is known, or it cannot be loaded, the current version answers for then too, the model's part is 0, and a note says
    so. Raises as `change_of`.
    """
    version = store.scored_version(ref.predictor, until=week.then.as_of)
    previous, note = None, ""
    if version is None:
        note = "nothing was scored by then, so the version of then is not known: the model's part is taken as 0"
    elif version == ref.version:
        note = f"version {version} answered then as now: the model's part is 0"
    else:
        try:
            previous = registry.version(ref.predictor, version)[0]
        except (ArtifactError, NotFoundError, RegistryError) as error:
            note = f"version {version} answered then and cannot be loaded ({error}): the model's part is taken as 0"
    change = change_of(entity_id, week, current=predictor, previous=previous)
    notes = (*change.notes, note) if note and change.before is not None else change.notes
    return WeekChange(change, version, notes)
