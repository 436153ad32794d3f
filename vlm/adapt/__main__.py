"""Adapt a vision-language model to scores by LoRA -> score-adapter/{alignment,extraction,analysis}/.

Keys may stand in a file: --config vlm_adapt.json. Nemotron Nano VL: --trust-remote-code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scorelm import cli
from scorelm.config import main_config
from vlm.adapt.config import AdaptConfig


def main(argv: Sequence[str] | None = None) -> int:
    def body() -> int:
        config = main_config(argv, __doc__ or "", AdaptConfig, "vlm_adapt.json", "python -m vlm.adapt")
        from vlm.adapt.loop import Adaptation

        for row in Adaptation(config).run():
            print(
                f"{row['phase']}\tsteps {row['steps']}\tnats a token before {row['before']:.4f}"
                f"\tafter {row['after']:.4f}\t{row['folder']}"
            )
        return 0

    return cli.run("vlm.adapt", body)


if __name__ == "__main__":
    sys.exit(main())
