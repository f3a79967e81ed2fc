"""What a run says to a person while it works: on stderr, with bars only where there is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


def terminal() -> bool:
    """Whether a person is watching stderr."""
    return sys.stderr.isatty()


def say(text: str, quiet: bool = False) -> None:
    """One line for a person on stderr."""
    if not quiet:
        Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)


def printer() -> Console:
    """Stdout for tables: as wide as the terminal, or, where there is none, so wide that nothing is cut."""
    return Console() if sys.stdout.isatty() else Console(width=1000)


class Bar:
    """A progress bar with a rate and the time left; silent where stderr is no terminal.

    Args:
        title: what is being done.
        quiet: never show it.
    """

    def __init__(self, title: str, total: int | None = None, quiet: bool = False) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet or not terminal(),
        )
        self._task: TaskID = self._progress.add_task(title, total=total, note="")

    def at(self, done: int, total: int | None = None, note: str = "") -> None:
        """Move the bar to ``done`` of ``total``."""
        self._progress.update(self._task, completed=done, total=total, note=note)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
