"""A page in your browser that reads pictures of scores and writes music, offline.

python -m vlm.app
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from scorelm import cli
from vlm.app.limits import Limits
from vlm.student.config import StudentConfig


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="python -m vlm.app", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = out.add_argument
    reader = StudentConfig.output_dir
    add("-m", "--model", metavar="DIR", default=reader, help=f"the reader; default: {reader}")
    add("--writer", metavar="DIR", help="the model that writes music; default: that of infer.py")
    add("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0: all that reach this machine; %(default)s")
    add("--port", type=int, default=7860, help="0: any that is free; default: %(default)s")
    add("--max-upload-mb", type=float, default=Limits.upload_mb, help="of a file; default: %(default)s")
    add("--max-pages", type=int, default=Limits.pages, help="of a PDF; default: %(default)s")
    add("--max-megapixels", type=float, default=Limits.megapixels, help="of a page; default: %(default)s")
    add("--timeout", type=float, default=Limits.timeout_s, help="seconds of one reading or writing; %(default)s")
    add("--queue", type=int, default=Limits.queue, help="how many may wait; more are turned away; %(default)s")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    return cli.run("vlm.app", lambda: work(options))


def work(options: argparse.Namespace) -> int:
    limits = Limits(options.max_upload_mb, options.max_pages, options.max_megapixels, options.timeout, options.queue)
    from vlm.app.server import serve

    serve(options.model, options.writer, limits, options.host, options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
