"""What the pages of models show: the list of all predictors, and one predictor with its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from predictkpi.core.types import ModelRef
from predictkpi.errors import UnknownNameError
from predictkpi.pipelines.monitor import Watch
from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words
from predictkpi.service.dashboard.models.comparison import Comparison, comparison
from predictkpi.service.dashboard.models.history import Move, moves
from predictkpi.service.dashboard.models.moves import PROMOTE, ROLLBACK, question_text
from predictkpi.service.dashboard.models.tested import Tested, tested
from predictkpi.service.dashboard.models.versions import Version, age_of, version_of
from predictkpi.service.dashboard.models.watch import Watched, watched
from predictkpi.service.dashboard.trust.judged import Judged, judged_of
from predictkpi.service.registry_memory import Known, RegistryMemory
from predictkpi.service.store_memory import Read
from predictkpi.service.version_records import Standing, VersionRecord
from predictkpi.service.view import View


@dataclass(frozen=True)
class Line:
    """One predictor in the list. ``trouble`` says why its versions cannot be shown, or are not newer; ``news`` what waits for somebody."""

    name: str
    title: str
    purpose: str
    served: Version | None
    newest: Version | None
    challenger: str
    count: int
    watched: Watched | None
    verdict: str
    age: str
    trouble: str


@dataclass(frozen=True)
class Lines:
    """The page at /models. ``mlflow`` is the address of MLflow's own pages, ``command`` shows them where that is empty.

    ``store_trouble`` says why what is shown of the monitor may be older than it should be.
    """

    predictors: list[Line]
    mlflow: str
    command: str
    store_trouble: str


@dataclass(frozen=True)
class Detail:
    """The page of one predictor. ``shown`` is the version that is told in full, ``with_`` the one it is compared with.

    ``questions``: version -> what is asked before it is let serve; only for who may let it.
    """

    name: str
    title: str
    purpose: str
    versions: list[Version]
    champion: str
    served: str
    rollback_to: str
    questions: Mapping[str, str]
    rollback_question: str
    shown: Version | None
    tested: Tested | None
    tested_trouble: str
    judged: Judged | None
    with_: str
    comparison: Comparison | None
    watched: Watched | None
    history: list[Move]
    has_actors: bool
    mlflow: str
    command: str
    age: str
    trouble: str
    store_trouble: str
    moved: str


def lines(view: View, memory: RegistryMemory, watches: Read[Mapping[str, Watch]]) -> Lines:
    """Every predictor of the catalogue."""
    known = {name: memory.standing(name) for name in predictor_names()}
    return Lines(
        predictors=[_line(view, name, standing, (watches.value or {}).get(name)) for name, standing in known.items()],
        mlflow=memory.registry.page,
        command=memory.registry.page_command,
        store_trouble=watches.trouble,
    )


def detail(
    view: View,
    memory: RegistryMemory,
    name: str,
    *,
    version: str,
    with_: str,
    watches: Read[Mapping[str, Watch]],
    entries: Read[pd.DataFrame],
    may_promote: bool,
    sees_actors: bool,
    moved: str,
    to: str = "",
) -> Detail:
    """One predictor; raises `UnknownNameError` for a version that the registry does not have.

    ``entries`` of the audit log are about this predictor; ``moved`` names the action that has just been done, ``to`` the version
    that serves by it.
    """
    spec, known = predictor_class(name).spec, memory.standing(name, is_patient=bool(moved))
    standing = known.value or Standing((), "")
    served = _served(view, name)
    versions = [version_of(row, served=served, zone=view.company.time_zone) for row in standing.rows]
    title = in_words(spec.title)
    shown = _chosen(name, versions, version or standing.champion) or (versions[0] if versions else None)
    record = memory.record(shown.run_id) if shown is not None and shown.run_id else None
    champion = view.champions.get(name)
    return Detail(
        name=name,
        title=title,
        purpose=champion.predictor.purpose if champion is not None else predictor_class(name)().purpose,
        versions=versions,
        champion=standing.champion,
        served=served,
        rollback_to=standing.rollback_to if may_promote else "",
        questions=_questions(title, versions, standing) if may_promote else {},
        rollback_question=question_text(ROLLBACK, title=title, version=standing.rollback_to, serving=standing.champion),
        shown=shown,
        tested=tested(record.value, spec) if record is not None and record.value is not None else None,
        tested_trouble=record.trouble if record is not None and record.value is None else "",
        judged=_judged(view, name, shown),
        with_=with_,
        comparison=_comparison(name, memory, versions, shown, record, with_),
        watched=watched((watches.value or {}).get(name)),
        history=moves(entries.value, with_actors=sees_actors) if entries.value is not None else [],
        store_trouble=watches.trouble or entries.trouble,
        has_actors=sees_actors,
        mlflow=memory.registry.page,
        command=memory.registry.page_command,
        age=age_of(known),
        trouble=known.trouble,
        moved=_moved(moved, to, title, standing.champion, served),
    )


def _line(view: View, name: str, known: Known[Standing], watch: Watch | None) -> Line:
    served, standing = _served(view, name), known.value or Standing((), "")
    versions = [version_of(row, served=served, zone=view.company.time_zone) for row in standing.rows]
    champion, spec = view.champions.get(name), predictor_class(name).spec
    found = judged_of(view, name)
    in_service = next((one for one in versions if one.is_served), None)
    if in_service is None and champion is not None:
        in_service = _of_ref(champion.ref)
    return Line(
        name=name,
        title=in_words(spec.title),
        purpose=champion.predictor.purpose if champion is not None else predictor_class(name)().purpose,
        served=in_service,
        newest=versions[0] if versions and versions[0] != in_service else None,
        challenger=next((one.version for one in versions if _("Challenger") in one.aliases), ""),
        count=len(versions),
        watched=watched(watch),
        verdict=found[0].verdict if found else "",
        age=age_of(known),
        trouble=known.trouble,
    )


def _of_ref(ref: ModelRef) -> Version:
    """The version in service, by what this process knows of it, while the registry does not answer."""
    row = {"version": ref.version, "aliases": [], "kind": ref.kind, "as_of": "", "status": "", "reason": ref.reason, "run_id": ref.run_id}
    return version_of(row | {"created_at": pd.NaT}, served=ref.version)


def _served(view: View, name: str) -> str:
    champion = view.champions.get(name)
    return champion.ref.version if champion is not None else ""


def _chosen(name: str, versions: list[Version], version: str) -> Version | None:
    """The version of that number; None where none is named, or where the registry is away and none is known."""
    if not version or not versions:
        return None
    found = next((one for one in versions if one.version == version), None)
    if found is None:
        raise UnknownNameError.among(f"version of {name}", version, known=[one.version for one in versions])
    return found


def _questions(title: str, versions: list[Version], standing: Standing) -> Mapping[str, str]:
    return {
        one.version: question_text(PROMOTE, title=title, version=one.version, serving=standing.champion)
        for one in versions
        if not one.is_champion
    }


def _judged(view: View, name: str, shown: Version | None) -> Judged | None:
    """How the version's own predictions have held up, where it is the newest that could be judged."""
    return next((one for one in judged_of(view, name) if shown is not None and one.version == shown.version), None)


def _comparison(
    name: str, memory: RegistryMemory, versions: list[Version], shown: Version | None, record: Known[VersionRecord] | None, with_: str
) -> Comparison | None:
    other = _chosen(name, versions, with_)
    if other is None or shown is None or not other.run_id:
        return None
    other_record = memory.record(other.run_id)
    if record is None or record.value is None or other_record.value is None:
        return None
    return comparison(shown, record.value, other, other_record.value)


def _moved(action: str, to: str, title: str, champion: str, served: str) -> str:
    """What has been done; empty where the registry says now that another version serves."""
    if action not in (PROMOTE, ROLLBACK) or not champion or champion != to:
        return ""
    done = _("{title}: version {version} is the champion now.").format(title=title, version=champion)
    if champion == served:
        return done
    return " ".join([done, _("This service reads it, and answers from it within seconds.")])
