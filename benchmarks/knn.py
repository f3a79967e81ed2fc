"""Seconds and memory of the exact k-NN search, by default 10,000 queries against 50,000 x 512, k = 20.

    python benchmarks/knn.py [--json FILE] [--queries N] [--bank N] [--dim D] [--k K] [--repeats R]

The embeddings are random, which is the hardest case for the selection: no structure to exploit. The bare matrix
product, in the same chunks and without any selection, is timed beside it: what no exact search can go below.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tacit.evaluation import neighbours


def seconds(work: Callable[[], object], repeats: int) -> list[float]:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def product(queries: torch.Tensor, bank: torch.Tensor, rows: int = 2048, columns: int = 8192) -> None:
    room = torch.empty(rows * columns)
    for part in bank.split(columns):
        for query in queries.split(rows):
            torch.mm(query, part.T, out=room[: len(query) * len(part)].view(len(query), len(part)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--bank", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    options = parser.parse_args()

    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(options.queries, options.dim, generator=generator)
    bank = torch.randn(options.bank, options.dim, generator=generator)
    neighbours(queries[:256], bank[:8192], options.k)  # libraries start up outside the clock
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    search = seconds(lambda: neighbours(queries, bank, options.k), options.repeats)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    bare = seconds(lambda: product(queries, bank), options.repeats)

    result = {
        "queries": options.queries,
        "bank": options.bank,
        "dim": options.dim,
        "k": options.k,
        "threads": torch.get_num_threads(),
        "seconds": sorted(search)[len(search) // 2],
        "seconds_best": min(search),
        "seconds_all": search,
        "product_seconds": sorted(bare)[len(bare) // 2],
        "product_seconds_best": min(bare),
        "peak_rss_mib": after / 1024,
        "peak_rss_beyond_inputs_mib": (after - before) / 1024,
    }
    for name, value in result.items():
        if not isinstance(value, list):
            print(f"{name:28} {value:.2f}" if isinstance(value, float) else f"{name:28} {value:,}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
