"""predictkpi: revenue growth, customer lifetime value and deal close time, learnt from a company's own sales history."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
