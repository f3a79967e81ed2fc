"""Missing values in time series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tacit.errors import DataError

MISSING = ("fill", "mask", "refuse")


def whole(
    values: NDArray[np.floating], missing: str, where: str, names: list[str] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A series without gaps: the last value before a gap, at the start the first after it; 0 where nothing is known.

    Args:
        values: ``[C, T]``, NaN where nothing was measured.
        missing: one of :data:`MISSING`.
        where: what an error calls the series.
        names: of the channels.

    Returns:
        the values and where they were measured (1) or not (0), each float32 ``[C, T]``.

    Raises:
        DataError: for infinite values; for missing ones where they are refused. It names the channel.
    """
    called = [f"channel {i}" for i in range(len(values))] if names is None else [f"column '{n}'" for n in names]
    bad = np.isinf(values).any(1)
    if bad.any():
        raise DataError(f"{where}: {called[int(bad.argmax())]} holds infinite numbers, or some too large for float32")
    known = ~np.isnan(values)
    if known.all():
        return values.astype(np.float32), np.ones(values.shape, np.float32)
    if missing == "refuse":
        first = int((~known).any(1).argmax())
        at = int((~known[first]).argmax())
        raise DataError(f"{where}: {called[first]} has no value at step {at}; say --set data.missing=fill or mask")
    step = np.arange(values.shape[1])
    last = np.maximum.accumulate(np.where(known, step, -1), axis=1)
    first_known = np.where(known.any(1), known.argmax(1), 0)[:, None]
    filled = np.take_along_axis(values, np.where(last >= 0, last, first_known), axis=1)
    return np.nan_to_num(filled, nan=0.0).astype(np.float32), known.astype(np.float32)
