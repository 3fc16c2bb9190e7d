"""What tells two statements with the same SQL and parameters apart from others, and nothing else."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Any, Final

#: Never leaves the process. Without it, whoever sees a fingerprint could try values until one gives the same.
_SECRET: Final = secrets.token_bytes(32)
_BYTES: Final = 8


def fingerprint(sql: str, params: Any) -> str:
    """16 hexadecimal digits, equal for the same SQL and parameters in this process and in those forked from it."""
    digest = blake2b(sql.encode(errors="surrogatepass"), digest_size=_BYTES, key=_SECRET)
    # A repr tells 1 from "1"; a list and a tuple of the same parameters are the same statement.
    digest.update(repr(tuple(params) if isinstance(params, list) else params).encode(errors="surrogatepass"))
    return digest.hexdigest()
