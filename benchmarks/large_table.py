"""Peak memory of training on a large table, by default 100,000 rows x 50 columns.

    python benchmarks/large_table.py [--json FILE] [--rows N] [--columns D] [--steps S] [--format csv|parquet]

A file of numbers, categories, booleans and dates, a twentieth of them missing, is written piece by piece; then a
process of its own reads it and trains, and says how much memory it had at most, torch and all libraries included. The
promise is that 1,000,000 rows x 50 columns stay below 4 GB (`--rows 1000000`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from common import arguments, keep

PIECE = 50_000

CHILD = """
import json, resource, sys, time
import tacit
began = time.perf_counter()
run = tacit.pretrain(sys.argv[1], steps=int(sys.argv[2]), out=sys.argv[3], quiet=True)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({
    "peak_bytes": peak, "seconds": round(time.perf_counter() - began, 1), "loss": float(run.metrics["loss"][-1]),
    "data": run.config["data"]["count"], "features": run.spec.features,
}))
"""


def piece(rows: int, columns: int, first: int) -> Any:
    """Some rows of a table whose columns share a hidden factor."""
    import pyarrow as pa

    random = np.random.default_rng([first, 1])
    hidden = random.normal(size=rows)
    made = {}
    for i in range(columns):
        value = np.cos(hidden * (1 + i % 7) + i) + random.normal(0, 0.5, rows)
        gone = random.uniform(size=rows) < 0.05
        if i % 10 == 7:
            names = np.array([f"value {k}" for k in range(40)])
            made[f"category_{i}"] = pa.array(names[(value * 10).astype(np.int64) % 40], mask=gone)
        elif i % 10 == 8:
            made[f"boolean_{i}"] = pa.array(value > 0, mask=gone)
        elif i % 10 == 9:
            day = (value * 300).astype("timedelta64[D]") + np.datetime64("2020-01-01")
            made[f"date_{i}"] = pa.array(day, mask=gone)
        else:
            made[f"number_{i}"] = pa.array(value, mask=gone)
    return pa.table(made)


def write(path: Path, rows: int, columns: int) -> None:
    from pyarrow import csv, parquet

    writer = None
    for first in range(0, rows, PIECE):
        part = piece(min(PIECE, rows - first), columns, first)
        if writer is None:
            make = csv.CSVWriter if path.suffix == ".csv" else parquet.ParquetWriter
            writer = make(path, part.schema)
        writer.write_table(part)
    assert writer is not None
    writer.close()


def main() -> None:
    parser = arguments(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=50)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"table.{options.format}")
        write(path, options.rows, options.columns)
        command = [sys.executable, "-c", CHILD, str(path), str(options.steps), str(Path(folder, "run"))]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        result |= {"file_bytes": path.stat().st_size, "rows": options.rows, "columns": options.columns}
        result |= {"format": options.format, "steps": options.steps}
    print(
        f"{options.rows:,} rows x {options.columns} columns ({options.format}, {result['file_bytes'] / 1e9:.2f} GB): "
        f"peak {result['peak_bytes'] / 1e9:.2f} GB, {result['seconds']:.0f} s for {options.steps} steps"
    )
    keep(options.json, result)


if __name__ == "__main__":
    main()
