"""The page is served: from this machine alone, to this machine alone unless told otherwise."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from scorelm.errors import ConfigError
from vlm.app.limits import Limits
from vlm.app.studio import Studio

POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
ROOM = 1_000_000  # bytes of a request beside the file in it


class _Guard:
    """Tells the browser to ask no other machine, and refuses what is too large before it is read."""

    def __init__(self, app: Any, most_bytes: int) -> None:
        self.app, self.most_bytes = app, most_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import PlainTextResponse

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        length = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if int(length) > self.most_bytes:
            await PlainTextResponse("too large", 413)(scope, receive, guarded)
        else:
            await self.app(scope, receive, guarded)


def serve(reader: str | Path, writer: str | None, limits: Limits, host: str, port: int) -> None:
    """Serve until stopped; the address goes to stdout. ConfigError without Gradio, OSError where the port is taken."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder is removed then, too
    with tempfile.TemporaryDirectory(prefix="scorelm-app-") as folder:
        os.environ |= {
            "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
            "GRADIO_TEMP_DIR": folder,
        }  # fmt: skip
        try:
            import gradio as gr
        except ImportError:
            raise ConfigError('the page needs Gradio: pip install "scorelm[app]"') from None
        import uvicorn
        from fastapi import FastAPI

        from vlm.app.page import CSS, page

        app = gr.mount_gradio_app(
            FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
            page(Studio(reader, writer, limits)),
            path="/",
            max_file_size=round(limits.upload_mb * 1e6),
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
            css=CSS,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            show_error=False,
        )
        guarded = _Guard(app, round(limits.upload_mb * 1e6) + ROOM)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server((host, port), family=family) as listening:
            shown = f"[{host}]" if ":" in host else host
            print(f"http://{shown}:{listening.getsockname()[1]}/", flush=True)
            config = uvicorn.Config(guarded, log_level="warning", timeout_graceful_shutdown=2)  # pages left open
            uvicorn.Server(config).run(sockets=[listening])
