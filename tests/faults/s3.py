"""moto's S3 server, one request at a time.

moto looks at If-Match and writes the object afterwards, in threads without a lock: of two conditional writes at the
same moment both may succeed. S3 is atomic there, and a test of lost updates needs a server that is.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from testproject.services import LOOPBACK, S3Server

ROOT = Path(__file__).resolve().parents[2]


class OneAtATime(S3Server):
    """Conditional writes are atomic."""

    def command(self) -> list[str]:
        """``serve`` in a process of its own, which does not run in the project's folder."""
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from {__name__} import serve; serve({self.port})"
        return [sys.executable, "-c", program]


def serve(port: int) -> None:
    """Serve on the loopback interface until the process is ended."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    application, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def alone(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with lock:
            return list(application(environ, start_response))

    run_simple(LOOPBACK, port, alone, threaded=True)
