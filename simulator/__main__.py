"""The door to the command line: `simulator` and `python -m simulator`.

It loads nothing before it is ready for Ctrl-C, so that a command can be stopped quietly while its libraries are read.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
from typing import Any

from .stopping import exit_code, heed_termination


def main() -> None:
    """Run the command line; Ctrl-C and SIGTERM end it with one sentence and exit code 130 or 143."""
    sys.unraisablehook = heed
    try:
        heed_termination()
        # threads for matrices as small as ours wait for each other, and each burns a core while it does
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        # xarray loads it wherever it is installed, though only a cluster needs it: half a second
        if "xarray" not in sys.modules and not any(word.startswith("--cluster") for word in sys.argv):
            sys.modules.setdefault("dask", None)  # type: ignore[arg-type]
        from .deprecated import renewed_options
        from .present.cli.main import main as verbs

        words, told = renewed_options(sys.argv[1:])
        for sentence in told:
            print(f"simulator: {sentence}", file=sys.stderr)
        verbs(words, prog_name="simulator")
    except KeyboardInterrupt:
        print("simulator: stopped", file=sys.stderr)
        raise SystemExit(exit_code()) from None


def heed(lost: Any) -> None:
    """Ctrl-C that fell into a destructor, where Python would print and forget it, comes once more."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        threading.Timer(0.01, _thread.interrupt_main).start()  # when this, which would swallow it too, has returned
    else:
        sys.__unraisablehook__(lost)


if __name__ == "__main__":
    main()
