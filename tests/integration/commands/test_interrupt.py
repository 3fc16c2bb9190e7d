"""Ctrl-C on the real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import testproject
from testproject.articles.models import Author
from tests.integration.commands.site import Site

MANAGE = Path(testproject.__file__).parent / "manage.py"


def test_ctrl_c_says_that_it_is_safe_to_run_again(site: Site) -> None:
    Author.objects.create(name="Ada")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SMARTERBASE_", "DJANGO_"))},
        "REDIS_URL": site.server.url,
        "SMARTERBASE_NAME": site.name,
        "SMARTERBASE_OBJECTS": str(site.folder),
        "SMARTERBASE_WRITE_DEADLINE": "20",
        "SMARTERBASE_TRUST_SECONDS": "1",
    }
    before = site.state(Author).entry
    process = subprocess.Popen(
        [sys.executable, str(MANAGE), "sb_reindex", "articles.Author", "-v", "2"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = ""
        while "waiting" not in said:
            said = process.stderr.readline()
            assert said, process.stdout.read()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert time.monotonic() - begun < 5
    assert "articles.Author: interrupted; as before, its index is trusted" in out
    assert err.endswith("Run sb_reindex again when you like.\n")
    assert "Traceback" not in err
    after = site.state(Author)
    assert (after.trusted, after.entry.epoch, after.entry.building) == (True, before.epoch, None)
