"""A sample company with known truth, seeded: for demonstrations, and to hold predictions against exact chances."""

from __future__ import annotations

from predictkpi.synthetic.company import SampleCompany, make_company
from predictkpi.synthetic.files import write_company
from predictkpi.synthetic.truth import Truth

__all__ = ["SampleCompany", "Truth", "make_company", "write_company"]
