"""Two processes that hold half a batch each."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch.distributed as dist
from torch import multiprocessing

Check = Callable[[int, Callable[[], object]], None]


def on_two_ranks(check: Check, folder: Path) -> None:
    """Run ``check(rank, together)`` in two processes, which are the two ranks of a group inside ``with together():``.

    Raises:
        AssertionError: with the traceback of the rank that failed.
    """
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=_run, args=(check, rank, folder)) for rank in range(2)]
    for rank in ranks:
        rank.start()
    waiting = {rank.sentinel: rank for rank in ranks}
    while waiting:
        for sentinel in wait(list(waiting)):
            ended = waiting.pop(sentinel)
            ended.join()
            if ended.exitcode:
                for other in waiting.values():
                    other.kill()  # it would wait for the one that failed
    errors = [path.read_text() for path in sorted(folder.glob("error*"))]
    assert not errors, "\n".join(errors)
    assert [rank.exitcode for rank in ranks] == [0, 0]


def _run(check: Check, rank: int, folder: Path) -> None:
    torch.set_num_threads(1)

    @contextmanager
    def together() -> Iterator[None]:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2)
        yield
        dist.barrier()  # the other rank may still be reading what this one sent
        dist.destroy_process_group()

    try:
        check(rank, together)
    except BaseException:
        (folder / f"error{rank}").write_text(traceback.format_exc())
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)  # taking the interpreter down while gloo's threads end can abort the process
