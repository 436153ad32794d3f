"""What the scripts share: errors as one line and exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from scorelm.errors import ScorelmError


def run(name: str, body: Callable[[], int]) -> int:
    """Run a script's body; an error that scorelm raises on purpose becomes one line on stderr."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's matrices are small here and lose by threads
    try:
        return body()
    except BrokenPipeError:  # the reader of the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ScorelmError, OSError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
