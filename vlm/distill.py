"""Teach the student to read pictures of scores: alignment, extraction, analysis, or all of them one behind the other.

python -m vlm.distill --phase all [--config FILE] [--KEY VALUE ...]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scorelm import cli
from scorelm.config import add_options, load_config, overrides_of
from vlm.data.record import PHASES
from vlm.student.config import StudentConfig


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m vlm.distill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    out.add_argument("--phase", default="all", choices=(*PHASES, "all"), help="default: all")
    out.add_argument("--config", default=None, help="default vlm_student.json where there is one")
    add_options(out, StudentConfig)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("vlm.distill", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    file = options.config
    if file is None and Path("vlm_student.json").is_file():
        file = "vlm_student.json"
    config = load_config(file, overrides_of(options, StudentConfig), StudentConfig)
    from vlm.student.loop import Distillation

    done = Distillation(config, PHASES if options.phase == "all" else (options.phase,)).run()
    steps = ", ".join(f"{phase} {count}" for phase, count in done["steps"].items())
    print(f"{config.output_dir}: steps: {steps}; {done['minutes']:.1f} min")
    return 0


if __name__ == "__main__":
    sys.exit(main())
