"""Run a module that ends with the process that started it, also where that one was killed.

``python -m roadcall_payments.cli.walkthrough.tethered MODULE ARGUMENT...``: standard input is the
tether. Nobody writes to it; it closes when its writer ends, however that happens, on every system.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    module, *arguments = sys.argv[1:]
    threading.Thread(target=_end_with_the_starter, daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with_the_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    # As whoever stops it would: what is in hand is finished first.
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
