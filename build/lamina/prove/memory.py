"""How much memory a tree of processes has resident, from ``/proc``: what Lambda counts, not what is merely reserved."""

from __future__ import annotations

import os

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def resident(process: int, depth: int) -> int:
    """Resident memory in bytes of all processes more than ``depth`` generations below ``process``.

    Pages that processes share count for each, as a function that forks is charged at most that. A process that ends
    meanwhile counts nothing. Source: proc_pid_statm(5), proc_tid_children(5).
    """
    total = 0
    generation = [process]
    while generation:
        if depth < 0:
            total += sum(map(_pages, generation))
        depth -= 1
        generation = [child for one in generation for child in _children(one)]
    return total * _PAGE


def _pages(process: int) -> int:
    try:
        with open(f"/proc/{process}/statm", "rb") as file:  # noqa: PTH123 - read a hundred times a second
            return int(file.read().split()[1])
    except (OSError, IndexError):
        return 0


def _children(process: int) -> list[int]:
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{process}/task")  # noqa: PTH208 - as above
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{process}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += map(int, file.read().split())
        except OSError:
            continue
    return found
