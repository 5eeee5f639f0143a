"""What the address of a KPI's page asks for: the KPI, the length of its periods, the dimension it is broken down by, and whose series."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from predictkpi.core import columns as c
from predictkpi.core.periods import Freq
from predictkpi.errors import UnknownEntityError
from predictkpi.kpis import Kpi, get_kpi
from predictkpi.service.problems import InvalidRequestError
from predictkpi.service.view import View


@dataclass(frozen=True)
class Asked:
    """``scope`` is `total` or ``dimension=member`` of the dimension ``by``."""

    kpi: Kpi
    freq: Freq
    by: str | None = None
    scope: str = c.TOTAL

    @property
    def member(self) -> str:
        """The scope's member, `total` for the total."""
        return self.scope.partition("=")[2] or c.TOTAL

    @property
    def dimension(self) -> str | None:
        """The dimension of the scope; None for the total."""
        return None if self.scope == c.TOTAL else self.by

    def query(self, **other: str) -> str:
        """The same, or with other values, as a query string."""
        named = {"freq": self.freq, "by": self.by or "", "scope": "" if self.scope == c.TOTAL else self.scope} | other
        return urlencode({name: value for name, value in named.items() if value})


def asked_of(view: View, name: str, *, freq: Freq, by: str = "", scope: str = "") -> Asked:
    """Check it against what there is; a scope of another dimension than ``by`` counts as the total, for ``by`` was changed after it.

    Raises `UnknownNameError` for a KPI, `InvalidRequestError` for a dimension, `UnknownEntityError` for a member.
    """
    kpi = get_kpi(name)
    if by and by not in kpi.dimensions:
        known = ", ".join(kpi.dimensions) or "none"
        raise InvalidRequestError.parameter("by", f"{name} has no dimension {by!r}; there are: {known}")
    wanted = Asked(kpi, kpi.fixed_freq or freq, by or None, scope if by and scope.startswith(f"{by}=") else c.TOTAL)
    if wanted.scope != c.TOTAL and wanted.member not in (known_members := members(view, wanted)):
        raise UnknownEntityError(f"{name} has no {by} {wanted.member!r}; there are: {', '.join(known_members)}")
    return wanted


def members(view: View, asked: Asked) -> list[str]:
    """The members of the dimension it is broken down by, sorted."""
    if asked.by is None:
        return []
    return sorted(view.kpi_series(asked.kpi.name, freq=asked.freq, by=asked.by)[c.MEMBER].unique())
