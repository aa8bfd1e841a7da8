"""``python -m lamina`` and the command ``lamina``: run the command line and exit with the code of the contract."""

import signal
import sys


def main() -> None:
    """Run the command line. It is imported here, so that Ctrl-C ends lamina like anywhere else while it starts."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as a CI ends a job: leave no mess either
    try:
        from lamina.cli import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before the command line can say so itself, or after it has returned
        sys.stderr.write("interrupted; nothing was left half-done\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
