"""Digests: short names of what a prediction was made from, so that the same question with the same inputs has the same id. Pure."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from predictkpi.core import columns as c

_MASK = (1 << 64) - 1


def digest(*parts: str) -> str:
    """32 hexadecimal signs that stand for these texts in this order."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def digest_of_inputs(inputs: pd.DataFrame) -> str:
    """Of a whole frame made by `Predictor.inputs`, whatever the order of its rows."""
    return digest_of_rows(hashes_of_rows(inputs))


def hashes_of_rows(inputs: pd.DataFrame) -> npt.NDArray[np.uint64]:
    """A number for each row of such a frame, whichever other rows it has: ``(n,)``."""
    return pd.util.hash_pandas_object(inputs, index=False).to_numpy()


def digest_of_rows(hashes: npt.NDArray[np.uint64]) -> str:
    """`digest_of_inputs` of the frames whose rows these are."""
    return hashlib.blake2b(np.sort(hashes).tobytes(), digest_size=16).hexdigest()


def digests_by_entity(inputs: pd.DataFrame, *, together: bool) -> dict[str, str]:
    """Of each entity's own rows of such a frame: 16 hexadecimal signs.

    ``together``: entities whose answers depend on one another (series that add up) share the digest of them all.
    """
    if together:
        return dict.fromkeys(map(str, inputs[c.ENTITY_ID].unique()), digest_of_inputs(inputs)[:16])
    hashes = pd.util.hash_pandas_object(inputs, index=False).groupby(inputs[c.ENTITY_ID].to_numpy(object), sort=False).sum()
    return {str(entity_id): f"{int(value) & _MASK:016x}" for entity_id, value in hashes.items()}
