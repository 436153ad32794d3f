"""Ask a teacher about the pictures of a dataset; what agrees with their scores is kept -> vlm_answers/train.jsonl.

Without options: the scores' own answers. --teacher endpoint --endpoint http://HOST:8000/v1, or --teacher transformers.
A job that was stopped goes on where it was. Keys may stand in a file: --config vlm_teacher.json.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scorelm import cli
from scorelm.config import main_config
from vlm.teacher.config import TeacherConfig


def main(argv: Sequence[str] | None = None) -> int:
    def body() -> int:
        config = main_config(argv, __doc__ or "", TeacherConfig, "vlm_teacher.json", "python -m vlm.ask_teacher")
        from vlm.teacher.work import ask_all

        report = ask_all(config)
        for line in report.lines():
            print(line)
        return 0

    return cli.run("vlm.ask_teacher", body)


if __name__ == "__main__":
    sys.exit(main())
