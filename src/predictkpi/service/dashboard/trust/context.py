"""What the page of trust shows, from a view, the registry and the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from predictkpi.predictors import predictor_class, predictor_names
from predictkpi.service.dashboard import formats as f
from predictkpi.service.dashboard.gates import Backtest, backtest
from predictkpi.service.dashboard.languages import gettext as _
from predictkpi.service.dashboard.languages import in_words, ngettext, sentence
from predictkpi.service.dashboard.trust.data import (
    Enough,
    Freshness,
    Hygiene,
    NewestLoad,
    Rejects,
    enough,
    freshness_rows,
    hygiene,
    newest_load,
)
from predictkpi.service.dashboard.trust.judged import Judged, judged_of, waiting
from predictkpi.service.data_state import diagnosis_of, freshness_of, readiness_of
from predictkpi.service.registry_memory import Known, RegistryMemory
from predictkpi.service.store_memory import Read
from predictkpi.service.version_records import VersionRecord
from predictkpi.service.view import View


@dataclass(frozen=True)
class Subject:
    """One predictor: what came true of it and, of the version that serves, what its backtest had promised.

    ``backtest_trouble`` says why the backtest cannot be shown; ``verdict`` is one sentence on the best that is known.
    """

    name: str
    title: str
    version: str
    verdict: str
    judged: list[Judged]
    waiting: list[str]
    notes: list[str]
    judged_until: str
    made_at: str
    backtest: Backtest | None
    backtest_trouble: str


@dataclass(frozen=True)
class Trust:
    """The whole page. ``rejects`` is None for who may not see them, and where ``rejects_trouble`` says why they cannot be read.

    ``loads_trouble`` says why the newest load may be older than it should be.
    """

    subjects: list[Subject]
    is_anything_judged: bool
    freshness: list[Freshness]
    late: str
    newest_load: NewestLoad | None
    loads_trouble: str
    readiness: list[Enough]
    hygiene: list[Hygiene]
    rejects: Rejects | None
    rejects_trouble: str = ""


def records_of_champions(view: View, memory: RegistryMemory) -> Mapping[str, Known[VersionRecord]]:
    """What the trainings of the versions in service have left, by predictor."""
    return {name: memory.record(champion.ref.run_id) for name, champion in view.champions.items() if champion.ref.run_id}


def trust(
    view: View,
    *,
    records: Mapping[str, Known[VersionRecord]],
    loads: Read[pd.DataFrame],
    models_dir: Path,
    rejects: Rejects | None,
    rejects_trouble: str = "",
) -> Trust:
    """Everything on the page at /trust; ``loads`` is the book of loads, newest first."""
    subjects = [subject(view, name, records.get(name)) for name in predictor_names()]
    fresh = freshness_rows(freshness_of(view, models_dir), pd.Timestamp(view.now()))
    late = sum(row.state == "late" for row in fresh)
    return Trust(
        subjects=subjects,
        is_anything_judged=any(one.judged for one in subjects),
        freshness=fresh,
        late=ngettext("{count} table is late", "{count} tables are late", late).format(count=f.number(late)) if late else "",
        newest_load=newest_load(loads.value) if loads.value is not None else None,
        loads_trouble=loads.trouble,
        readiness=enough(readiness_of(view, models_dir)),
        hygiene=hygiene(view),
        rejects=rejects,
        rejects_trouble=rejects_trouble,
    )


def warm(view: View, models_dir: Path, memory: RegistryMemory) -> None:
    """Work out of a new view what takes long and depends on nothing else, before anybody asks for it; the registry is not waited for."""
    run_ids = [champion.ref.run_id for champion in view.champions.values() if champion.ref.run_id]
    memory.begin(predictors=predictor_names(), run_ids=run_ids)
    diagnosis_of(view)
    freshness_of(view, models_dir)
    readiness_of(view, models_dir)


def subject(view: View, name: str, record: Known[VersionRecord] | None) -> Subject:
    """One predictor; a board may be there without a model in service, and the other way round."""
    spec, board, champion = predictor_class(name).spec, view.boards.get(name), view.champions.get(name)
    found = judged_of(view, name)
    tested = backtest(record.value) if record is not None and record.value is not None else None
    trouble = record.trouble if record is not None and record.value is None else ""
    verdict = found[0].verdict if found else ""
    if not verdict and tested is not None:
        verdict = _("In the backtest: {verdict}").format(verdict=tested.verdict)
    return Subject(
        name=name,
        title=in_words(spec.title),
        version=champion.ref.version if champion is not None else "",
        verdict=verdict,
        judged=found,
        waiting=waiting(board, spec) if board is not None else [],
        notes=[sentence(note) for note in board.notes] if board is not None else [],
        judged_until=f.date(board.as_of) if board is not None else "",
        made_at=f.moment(board.made_at) if board is not None else "",
        backtest=tested,
        backtest_trouble=trouble,
    )
