"""Pictures of scores with prompts and answers -> vlm_dataset/{train,validation,test}/*.parquet.

Without options: the scores of dataset/ (generate_data.py makes it), engraved. A job that was stopped goes on where it
was. Keys may stand in a file: --config vlm_data.json. NOTA: --source nota --nota-images FOLDER.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scorelm import cli
from scorelm.config import main_config
from vlm.data.config import DataConfig


def main(argv: Sequence[str] | None = None) -> int:
    def body() -> int:
        config = main_config(argv, __doc__ or "", DataConfig, "vlm_data.json", "python -m vlm.make_data")
        from vlm.data import store

        report = store.make(config)
        for line in report.lines():
            print(line)
        return 0 if report.records else 2

    return cli.run("vlm.make_data", body)


if __name__ == "__main__":
    sys.exit(main())
