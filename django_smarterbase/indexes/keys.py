"""Every Redis key of the package, built here and in the scripts that continue these formats.

With NAME and table percent-encoded, ``B`` the base ``sb:{<NAME>:<table>}:`` and ``E`` an epoch. A tenant has
``<NAME>@<tenant>`` in place of NAME, which no encoded NAME can be::

    B marker            hash epoch, run_id: the complete epoch, and the run of the server that completed it
    B live              hash {epoch: state definition run_id}: the epochs that writers feed
    B locks             hash {stem: the transaction that has locked the row, and until when}
    B builder           the epoch whose rebuild is under way, with a time to live
    B tally:E           hash: the last ticket, and how many members the other keys must have
    B tally:E:<index>   hash {code: number of documents}
    B docs:E            hash {stem: committed record}
    B pend:E            hash {stem: pending notes}
    B age:E             sorted set of "<stem> <token>" by ticket: the pending notes, oldest first
    B all:E             set of the stems of all documents
    B set:E:<entry>     set of the stems of the documents with this entry (``entries.entries_of``)
    B order:E:<index>   sorted set, all scores 0, of "<code> <stem>": an ordered index (``ordering``); the primary key's
                        has the index ""
    B seen:E            set of the stems that a rebuild's listing has shown; with a check's token for E, those that
                        it has seen (with a time to live)

The braces are a cluster's hash tag: all keys of a table share a slot, so a script may touch them all. Scripts get the
marker's key and put the other endings to its base.

The history of profiles belongs to no table; its keys, ``H`` for ``sb:{<NAME>}:``, share a slot of their own::

    H profiles          stream of profiles, each in the field ``p`` as JSON (``history/codec.py``); its length is capped
    H dropped           how many profiles processes have dropped while they could not send them
    H sender:<token>    "<number> <dropped>" of a process: its last profile in the stream, and how many it has dropped,
                        so that what is sent twice counts once (with a time to live)
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import quote

_VALUE: Final = re.compile(r"(:set:[^:]+:[^:]+):.*", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.~-]*")
_TABLES: Final = 1000  # whose keys are remembered, since every statement names them
_EPOCH_BYTES: Final = 8
_TOKEN_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class TableKeys:
    """The keys of one table that Python names itself."""

    base: str

    @property
    def marker(self) -> str:
        """The key that every script gets."""
        return f"{self.base}marker"

    @property
    def pattern(self) -> str:
        """The glob pattern of all keys of the table. Encoded parts hold none of ``*?[]``, so it matches no other."""
        return f"{self.base}*"

    def entry_of_set(self, key: str, epoch: str) -> str | None:
        """The entry whose set in ``epoch`` is at ``key``, ``><index>:`` of an ordered index; None for any other key."""
        if key == f"{self.base}all:{epoch}":
            return "*"
        order = f"{self.base}order:{epoch}:"
        if key.startswith(order):
            return f">{key.removeprefix(order)}:"
        prefix = f"{self.base}set:{epoch}:"
        return key.removeprefix(prefix) if key.startswith(prefix) else None


@dataclass(frozen=True, slots=True)
class HistoryKeys:
    """The keys of a database's history of profiles."""

    base: str

    @property
    def profiles(self) -> str:
        """The stream."""
        return f"{self.base}profiles"

    @property
    def dropped(self) -> str:
        """The counter of what never came into the stream."""
        return f"{self.base}dropped"

    def sender(self, token: str) -> str:
        """What is known of the process ``token``."""
        return f"{self.base}sender:{token}"


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """The keys of the database ``name``, or of one of its tenants."""

    name: str
    tenant: str | None = None

    def table(self, table: str) -> TableKeys:
        """The keys of ``table``."""
        return _keys_of(self.name, self.tenant, table)

    @property
    def history(self) -> HistoryKeys:
        """The keys of the history of profiles."""
        return HistoryKeys(f"sb:{{{self._owner}}}:")

    @property
    def patterns(self) -> tuple[str, str]:
        """The glob patterns of all keys of tables, and of the history; they match no keys of others."""
        return f"sb:{{{self._owner}:*", f"{self.history.base}*"

    @property
    def _owner(self) -> str:
        return _owner(self.name, self.tenant)


def _owner(name: str, tenant: str | None) -> str:
    return part(name) if tenant is None else f"{part(name)}@{part(tenant)}"


@lru_cache(maxsize=_TABLES)
def _keys_of(name: str, tenant: str | None, table: str) -> TableKeys:
    return TableKeys(f"sb:{{{_owner(name, tenant)}:{part(table)}}}:")


def without_value(key: str) -> str:
    """A Redis key as messages may name it: that of a set without the value that its documents have."""
    return _VALUE.sub(r"\1", key)


def part(text: str) -> str:
    """``text`` as a part of a key or entry: percent-encoded outside ``[A-Za-z0-9_.~-]``."""
    if _PLAIN.fullmatch(text):
        return text
    return quote(text, safe="", errors="surrogatepass")


def new_epoch() -> str:
    """A name for an epoch that no other epoch ever has."""
    return secrets.token_hex(_EPOCH_BYTES)


def new_token() -> str:
    """A name for a write, or for a process that sends profiles, that no other ever has."""
    return secrets.token_hex(_TOKEN_BYTES)


def etag_text(etag: str | None) -> str:
    """An ETag as the scripts compare it: ``e`` and the encoded ETag, or ``-`` where there is no document."""
    return "-" if etag is None else f"e{part(etag)}"
