#!/usr/bin/env python3
"""Train the student on a dataset: python train.py [--config train_cfg.json] [--KEY VALUE ...]"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from scorelm.config import main_config
from scorelm.errors import ScorelmError


def main(argv: Sequence[str] | None = None) -> int:
    try:
        config = main_config(argv, __doc__ or "")
        from scorelm.training import train

        metrics = train(config)
    except ScorelmError as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train.py: stopped; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    if os.environ.get("RANK", "0") == "0":  # of several processes the first one speaks
        print(f"{config.output_dir}: {metrics['bits_per_quarter']:.4f} bits per quarter on validation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
