"""What the scripts share: errors as one line and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from scorelm.errors import ScorelmError


def run(name: str, body: Callable[[], int]) -> int:
    """Run a script's body; an error that scorelm raises on purpose becomes one line on stderr."""
    try:
        return body()
    except (ScorelmError, OSError) as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
