"""``python -m lamina`` and the command ``lamina``: run the command line and exit with the code of the contract."""

import gc
import signal
import sys

#: By itself CPython looks for cycles after every few hundred, though what a start makes stays: modules, recipe, plan.
_NEW_OBJECTS = 50_000


def main() -> None:
    """Run the command line. It is imported here, so that Ctrl-C ends lamina like anywhere else while it starts."""
    gc.set_threshold(_NEW_OBJECTS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as a CI ends a job: leave no mess either
    try:
        from lamina.cli import run

        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done: what is left is Python's own end
    except KeyboardInterrupt:  # before the command line can say so itself, or after it has returned
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write("interrupted; nothing was left half-done\n")
        code = 130
    gc.freeze()  # nor does the end look for cycles in all that goes with the process
    sys.exit(code)


if __name__ == "__main__":
    main()
