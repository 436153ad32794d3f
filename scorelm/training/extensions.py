"""The C++ parts that DeepSpeed builds on its first run, once for each user.

torch guards each build with a file, for which every later run waits without a word; a build that was killed leaves it
behind, and nobody would ever take it away.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PATIENCE = 600.0  # seconds; the longest of DeepSpeed's builds take two minutes or three
JUST_BEGUN = 10.0  # seconds; a build of this very run, by another of its processes


def release_abandoned_builds() -> list[Path]:
    """Takes away what builds that were killed left behind; of one that may be under way, says so on stderr.

    Every process calls it before it builds: one that waited already would take a file taken away for a build that ended.

    Returns: what was taken away.
    """
    from torch.utils.cpp_extension import get_default_build_root

    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    released = []
    for lock in sorted([*root.glob("*/lock"), *root.glob("*/*/lock")]):
        try:
            age = time.time() - lock.stat().st_mtime
            if age > PATIENCE:
                lock.unlink()
                released.append(lock)
            elif age > JUST_BEGUN:
                print(f"another process builds {lock.parent.name}; if none does, delete {lock}", file=sys.stderr)
        except FileNotFoundError:
            continue  # that build has ended
    return released
