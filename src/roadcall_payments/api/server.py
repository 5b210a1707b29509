"""Serving the application: uvicorn with uvloop and httptools."""

from __future__ import annotations

from typing import Final

import uvicorn
from starlette.types import ASGIApp

from roadcall_payments.api.one_write import OneWriteProtocol

GRACE_S: Final = 30
KEEP_ALIVE_S: Final = 75
# Past it uvicorn answers 503 by itself, before anything is read.
CONNECTIONS_MAX: Final = 4_096


def http_server(app: ASGIApp, host: str, port: int, grace_s: int = GRACE_S) -> uvicorn.Server:
    """A server that answers what it has taken for ``grace_s`` seconds after it is told to stop.

    Longer than a request may wait for Stripe (20 s, M32). Logging is ``telemetry``'s, and the
    line for each request is the application's own.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            loop="uvloop",
            http=OneWriteProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=grace_s,
        )
    )
