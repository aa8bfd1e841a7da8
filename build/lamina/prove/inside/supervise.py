"""Runs one job, within namespaces of its own where asked to, and ends all that it started.

It is run as ``python -I -S -B supervise.py DESCRIPTOR``. Through that socket comes the job, as JSON behind its length;
back go the sockets that the job's connections arrive at, that it started, and how it ended. When the other side closes
the socket, or dies, the job and everything it started is killed: nothing outlives lamina.

Sources: unshare(2), user_namespaces(7), pid_namespaces(7), mount_setattr(2), pivot_root(2).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

_LENGTH = struct.Struct("!I")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_FLAG_ASKED = select.POLLIN | select.POLLHUP | select.POLLERR


def main() -> None:
    """Receive the job, run it, tell how it ended."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    job = _receive(control)
    try:
        if job["root"] is not None:
            _enter(control, job)
        else:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        if job["listen"]:
            _listen(control, job["ports"])
        child = _start(job)
    except OSError as error:
        _tell(control, {"failed": f"{error.filename or 'it'}: {error.strerror}"})
        os._exit(1)
    _tell(control, {"started": True})
    _tell(control, _follow(control, child))
    os._exit(0)


def _receive(control: socket.socket) -> dict[str, Any]:
    (size,) = _LENGTH.unpack(control.recv(_LENGTH.size, socket.MSG_WAITALL))
    job: dict[str, Any] = json.loads(control.recv(size, socket.MSG_WAITALL))
    return job


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        control.sendall(json.dumps(message).encode() + b"\n")


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _enter(control: socket.socket, job: dict[str, Any]) -> None:
    """Go into new namespaces; the caller goes on as their first process, the one that started it waits."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    import enclosure  # type: ignore[import-not-found]  # beside this file, which is no part of a package here

    enclosure.separate(job["uid"], job["gid"], network=job["network"])
    child = os.fork()
    if child:
        control.close()
        for descriptor in range(3):
            os.close(descriptor)
        os.waitpid(child, 0)
        os._exit(0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    enclosure.build(job["root"])
    if not job["network"]:
        enclosure.loopback_up()


def _listen(control: socket.socket, ports: list[int]) -> None:
    """Hand out sockets that listen in here: whoever accepts on them need not be in here."""
    for port in ports:
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", port))
            listening.listen(128)
            socket.send_fds(control, [json.dumps({"listening": port}).encode() + b"\n"], [listening.fileno()])


def _start(job: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.chdir(job["folder"])
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        os.execve(job["command"][0], job["command"], job["environment"])  # noqa: S606
    except OSError as error:
        os.write(2, f"{job['command'][0]}: cannot be started: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _follow(control: socket.socket, child: int) -> dict[str, Any]:
    """Wait until the job ends or nobody wants it any more; leave no process behind."""
    began = time.monotonic()
    poll = select.poll()
    poll.register(control, _FLAG_ASKED)
    try:
        ending = os.pidfd_open(child)
    except OSError:  # Linux below 5.3
        ending = -1
    else:
        poll.register(ending, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(1000 if ending >= 0 else 5)}
        if control.fileno() in ready:
            os.kill(child, signal.SIGKILL)
        gone, status, usage = os.wait4(child, 0 if control.fileno() in ready else os.WNOHANG)
        if gone:
            break
    seconds = time.monotonic() - began
    if os.getpid() != 1:  # the kernel ends what is left in a namespace when its first process ends
        _end_all()
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    return {"ended": code, "seconds": seconds, "peak": usage.ru_maxrss * 1024}


def _end_all() -> None:
    """Kill every process below this one; those whose parents ended have come here, as to a subreaper."""
    for _ in range(1000):
        children = _children(os.getpid())
        if not children:
            return
        below = [*children]
        while below:
            process = below.pop()
            below += _children(process)
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.001)


def _children(process: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208
            with contextlib.suppress(OSError), open(f"/proc/{process}/task/{thread}/children") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


if __name__ == "__main__":
    main()
