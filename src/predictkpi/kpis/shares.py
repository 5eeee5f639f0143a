"""Shares of counted cases, with Wilson's 95 % interval.

Source: Wilson (1927), Probable inference, the law of succession, and statistical inference; J. Am. Stat. Assoc. 22.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from predictkpi.core import columns as c

Z_95 = 1.959964


def share_cells(grouped: Any, flag: str) -> pd.DataFrame:
    """``value, low, high, n`` of each group of a pandas groupby: the share of its rows whose ``flag`` is true."""
    hits, n = grouped[flag].sum().astype("float64"), grouped.size().astype("float64")
    share = hits / n
    centre, room = share + Z_95**2 / (2 * n), Z_95 * np.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n**2))
    scale = 1 + Z_95**2 / n
    # rounding must not leave the value outside its own interval
    low, high = np.minimum((centre - room) / scale, share).clip(0.0), np.maximum((centre + room) / scale, share).clip(upper=1.0)
    return pd.DataFrame({c.VALUE: share, c.LOW: low, c.HIGH: high, c.N: n})
