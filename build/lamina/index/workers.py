"""A few threads for work that waits for the network, which end at once when one fails or somebody interrupts."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Seconds that interrupted threads get to put things in order. They only read and write files that can be resumed.
_GRACE = 2.0


class _Outcome(Generic[Answer]):
    """What one item came to."""

    def __init__(self, index: int, answer: Answer | None, error: BaseException | None) -> None:
        self.index = index
        self.answer = answer
        self.error = error


def each(
    work: Callable[[Item], Answer], items: Iterable[Item], *, jobs: int, interrupt: Callable[[], None] = lambda: None
) -> list[Answer]:
    """Do ``work`` for every item on up to ``jobs`` threads; return the answers in the order of the items.

    The first error ends everything: ``interrupt`` is called, which is to make running work stop soon, no further item
    is begun, and the error is raised. Ctrl-C likewise. The threads are daemons: one that hangs in a system call does
    not keep the process alive.
    """
    waiting = list(items)
    if len(waiting) <= 1 or jobs <= 1:
        return [work(item) for item in waiting]
    tasks: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    for pair in enumerate(waiting):
        tasks.put(pair)
    outcomes: queue.SimpleQueue[_Outcome[Answer]] = queue.SimpleQueue()
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                index, item = tasks.get_nowait()
            except queue.Empty:
                return
            try:
                outcomes.put(_Outcome(index, work(item), None))
            except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
                outcomes.put(_Outcome(index, None, error))

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(min(jobs, len(waiting)))]
    for thread in threads:
        thread.start()
    try:
        return _gathered(outcomes, len(waiting))
    except BaseException:
        stopped.set()
        interrupt()
        for thread in threads:
            thread.join(_GRACE / len(threads))
        raise


def _gathered(outcomes: queue.SimpleQueue[_Outcome[Answer]], count: int) -> list[Answer]:
    answers: dict[int, Answer] = {}
    while len(answers) < count:
        try:
            outcome = outcomes.get(timeout=0.5)  # never without: on Windows Ctrl-C does not end such a wait
        except queue.Empty:
            continue
        if outcome.error is not None:
            raise outcome.error
        answers[outcome.index] = outcome.answer  # type: ignore[assignment] # there is one, as there is no error
    return [answers[index] for index in range(count)]
