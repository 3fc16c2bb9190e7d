"""What tells two statements with the same SQL and parameters apart from others, and nothing else."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Any, Final

#: The key never leaves the process. Without it, whoever sees a fingerprint could try values until one gives the same.
_KEYED: Final = blake2b(digest_size=8, key=secrets.token_bytes(32))


def fingerprint(sql: str, params: Any) -> str:
    """16 hexadecimal digits, equal for the same SQL and parameters in this process and in those forked from it."""
    digest = _KEYED.copy()
    digest.update(sql.encode(errors="surrogatepass"))
    # A repr tells 1 from "1"; a list and a tuple of the same parameters are the same statement.
    digest.update(repr(tuple(params) if isinstance(params, list) else params).encode(errors="surrogatepass"))
    return digest.hexdigest()
