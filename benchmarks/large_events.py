"""Memory of a training on a log of events that need not fit into it.

A log of as many rows as asked for, the events of all persons mixed in order of time, is written to a parquet file a
part at a time; a second process then trains on it, and its largest resident memory is shown.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pyarrow import parquet

import tacit
from common import arguments, keep
from tacit.modalities import open_source
from tacit.modalities.events.synthetic import habits

PERSONS = 5000
"""Made at a time."""
EVENTS = 100
"""Of each person."""


def write(path: Path, rows: int) -> int:
    """A log of about ``rows`` rows; how many it has in truth. The parts of the file overlap in time."""
    writer, done = None, 0
    try:
        while done < rows:
            count = min(PERSONS, -(-(rows - done) // EVENTS))
            table = habits(count, first=done // EVENTS, events=(EVENTS, EVENTS)).drop_columns(["label"])
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
            done += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return done


def train(path: Path, steps: int, folder: Path) -> dict[str, Any]:
    """Seconds to read and to train, and the peak of this process in GiB."""
    began = time.perf_counter()
    source = open_source(path, "events", cache=folder / "cache")
    read = time.perf_counter() - began
    after_reading = peak()
    tacit.pretrain(
        source, "coles", "gru", steps=steps, batch_size=64, out=folder / "run", modality="events", quiet=True,
        options={"encoder.width": 64},
    )  # fmt: skip
    return {
        "entities": len(source),
        "seconds_to_read": read,
        "seconds": time.perf_counter() - began,
        "peak_gib_after_reading": after_reading,
        "peak_gib": peak(),
    }


def peak() -> float:
    """The largest resident memory of this process so far, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the log; 10,000,000 take some minutes")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--log", type=Path, help="train on this log, as the second process does")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    if args.log:
        print(json.dumps(train(args.log, args.steps, args.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "log.parquet")
        rows = write(path, args.rows)
        size = path.stat().st_size / 2**30
        call = [sys.executable, __file__, "--log", str(path), "--steps", str(args.steps), "--folder", name]
        result = json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)
    print(f"{rows:,} rows of {result['entities']:,} persons, {size:.2f} GiB as parquet")
    print(f"read in {result['seconds_to_read']:.0f} s, with {args.steps} steps {result['seconds']:.0f} s")
    print(f"peak {result['peak_gib_after_reading']:.2f} GiB after reading, {result['peak_gib']:.2f} GiB in all")
    keep(
        args.json,
        {"title": "Memory of a training on a log of events", "rows": rows, "parquet_gib": size, "steps": args.steps}
        | result,
    )


if __name__ == "__main__":
    main()
