"""Every object key of the package, built here and nowhere else.

Under the storage's location, with NAME the database's name::

    <NAME>/<db_table>/<stem>.json                       a document
    <NAME>/_sb/manifest.json                            what is known of the indexes
    <NAME>/_sb/checks.json                              what the last check of each table has found
    <NAME>/_sb/job.json                                 the job that was last begun in the admin
    <NAME>/_sb/sequences/<db_table>.json                the last value that a sequence gave out
    <NAME>/_sb/schema/<db_table>.json                   the steps that bring old documents up to date
    <NAME>/_sb/tables/<table>.json                      the SQL of a table that raw DDL made
    <NAME>/_sb/unique/<db_table>/<constraint>/<digest>.json   a claim to a unique value
    <NAME>/_sb/intents/<id>.json                        the writes of a transaction that is being committed
    <NAME>/_sb/packs/<db_table>/index.json              which packs of a table are current
    <NAME>/_sb/packs/<db_table>/<name>.pack             the documents of a table, many in one object
    <NAME>/_sb/leases/<name>.json                       who does a job that only one process may do
    <NAME>/_sb/probe/<token>.json                       a short-lived object that tests the store
    <NAME>/_tenants/<tenant>/                           what belongs to a tenant: all of the above once more
    _sb/probe/, _sb/temp/, _sb/locks/                    the adapters' own, shared by all databases of a location

A *part* is text percent-encoded (UTF-8, upper-case hexadecimal) outside ``[A-Za-z0-9_-]`` and inner dots, so that it
can be neither ``.`` nor ``..`` nor hold a separator. What text cannot say is marked by ``=``, which no encoded text
holds: ``=e`` the empty string, ``=n`` NULL, ``=b`` bytes (base64url without padding), ``=h`` the SHA-256 that
ends a name longer than 200 bytes. A *stem* is the parts of a primary key joined by ``!``. A folder that would be
called ``_sb`` or ``_tenants`` (a table, a tenant, or a part of NAME) has its underscore encoded.

Stems differ by case alone, so the file system under a location must tell case apart.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from django.core.exceptions import ImproperlyConfigured

from ..exceptions import InvalidTenant
from ..tables import Value

SYSTEM: Final = "_sb"
TENANTS: Final = "_tenants"
TEMPORARY: Final = f"{SYSTEM}/temp"
LOCKS: Final = f"{SYSTEM}/locks"
SUFFIX: Final = ".json"
_SYSTEM_START: Final = f"{SYSTEM}/"
_SYSTEM_FOLDER: Final = f"/{SYSTEM}/"
_MANIFEST: Final = f"manifest{SUFFIX}"
_PACK_SUFFIX: Final = ".pack"
_PACKS_FOLDER: Final = f"{_SYSTEM_FOLDER}packs/"
_RESERVED: Final = frozenset((SYSTEM, TENANTS))

_LIMIT = 200  # bytes of a stem or folder; with the suffix it stays below the 255 bytes of a file name
_KEPT = 128  # bytes of an over-long name that stand before its hash
_LOCK_STRIPES = 256
_EXACT_INTEGER = 2.0**63  # SQLite's integers end here; a float beyond it equals none of them

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{_LIMIT}}}{re.escape(SUFFIX)}").fullmatch
_STEM = re.compile(r"[A-Za-z0-9_.%!=-]+")
_HASHED = re.compile(rf"[A-Za-z0-9_.%!=-]{{{_KEPT}}}=h[0-9a-f]{{64}}")
_NOT_A_NAME = frozenset(("", ".", ".."))


def stem(values: Sequence[Value]) -> str:
    """The stem of a primary key: one to one for the values that can stand in one column (1 and "1" cannot both).

    A float that is a whole number has the stem of the integer, since SQLite calls the two equal.
    """
    if not values:
        raise ValueError("A primary key without columns has no stem.")
    return _shorten("!".join([_part(value) for value in values]))


def is_stem(text: str) -> bool:
    """Whether ``stem()`` can have made this text."""
    if len(text) > _LIMIT:
        return False
    if _PLAIN.fullmatch(text) or _HASHED.fullmatch(text):
        return True
    values = _values(text)
    return values is not None and stem(values) == text


def may_be_stem(text: str) -> bool:
    """Whether ``Keyspace.document`` takes this text; takes a fraction of the time of ``is_stem``."""
    return (text.isalnum() and text.isascii()) or _STEM.fullmatch(text) is not None


def pk_texts(stem: str) -> tuple[str, ...] | None:
    """The primary key's values as text, one for each column, or None when only the document can tell them.

    None stands for a stem that ends in a hash or holds bytes or NULL. Numbers come back as their decimal text.
    """
    if len(stem) <= _LIMIT and _PLAIN.fullmatch(stem):
        return (stem,)
    values = _values(stem)
    if values is None:
        return None
    texts = tuple(value for value in values if isinstance(value, str))
    return texts if len(texts) == len(values) else None


def is_system_key(key: str) -> bool:
    """Whether ``key`` is of a system object, of whatever database: no other key has a folder ``_sb``."""
    return _SYSTEM_FOLDER in key or key.startswith(_SYSTEM_START)


def is_pack(key: str) -> bool:
    """Whether ``key`` is of a pack, of whatever table and database."""
    return key.endswith(_PACK_SUFFIX) and _PACKS_FOLDER in key


def is_object_key(key: str) -> bool:
    """Whether ``key`` stays below the location on any store: no empty, ``.`` or ``..`` part, no NUL."""
    return "\0" not in key and _NOT_A_NAME.isdisjoint(key.split("/"))


def tenant_folder(tenant: str) -> str:
    """The folder of a tenant: one to one, so that no two share a key. Raises InvalidTenant."""
    if not tenant:
        raise InvalidTenant("A tenant's name must not be empty. For what belongs to no tenant use tenant(None).")
    if not tenant.isascii() and tenant.encode(errors="replace").decode() != tenant:
        raise InvalidTenant(f"The tenant's name {tenant!r:.200} is not Unicode text: it holds half a character.")
    encoded = _encode(tenant)
    if len(encoded) > _LIMIT:
        raise InvalidTenant(
            f"The tenant's name {tenant!r:.200} takes {len(encoded)} bytes in a key, and {_LIMIT} is the limit (a "
            "character other than A-Z, a-z, 0-9, - and _ takes three or more). Use a shorter one, such as a slug."
        )
    return _folder(tenant)


def probe(token: str) -> str:
    """The key of a probe of the whole location, outside of any database."""
    return f"{SYSTEM}/probe/{_encode(token)}{SUFFIX}"


def lock_file(key: str) -> str:
    """The lock file that guards the object ``key``, relative to the location: one of 256 stripes."""
    # A foreign file's name may be no text: the file system then gives it with lone surrogates.
    return f"{LOCKS}/{zlib.crc32(key.encode(errors='surrogatepass')) % _LOCK_STRIPES:02x}"


def fence_file(folder: str, role: str) -> str:
    """The lock file of ``role`` for listings of ``folder``, relative to the location."""
    return f"{LOCKS}/{hashlib.blake2b(folder.encode(errors='surrogatepass'), digest_size=12).hexdigest()}.{role}"


class PackKeys(NamedTuple):
    """The keys of a table's packs, under ``prefix``; ``documents`` is that of what is packed."""

    documents: str
    prefix: str
    lease: str

    def list_of_packs(self) -> str:
        """The key of the object that says which packs are current."""
        return f"{self.prefix}index{SUFFIX}"

    def pack(self, name: str) -> str:
        """The key of a pack."""
        return f"{self.prefix}{_encode(name)}{_PACK_SUFFIX}"

    def may_hold(self, key: str) -> bool:
        """Whether a pack may hold the object ``key``: whether it can be a document's. The name of another may be none
        that JSON can write."""
        return key.endswith(SUFFIX) and is_stem(key[len(self.documents) : -len(SUFFIX)])


class Keyspace:
    """The keys of the database ``name``, or of one of its tenants. Slashes in ``name`` make folders.

    Raises ImproperlyConfigured for an empty part, and InvalidTenant.
    """

    def __init__(self, name: str, tenant: str | None = None) -> None:
        parts = name.split("/")
        if not all(parts):
            raise ImproperlyConfigured(
                f"The database NAME {name!r} has an empty part. It is the prefix of every object key: give it one or "
                "more names with single slashes between them, such as 'shop' or 'shop/eu'."
            )
        self.name = name
        self._database = "/".join(_folder(part) for part in parts) + "/"
        self._root = self._database if tenant is None else f"{self.tenants_prefix()}{tenant_folder(tenant)}/"
        self._system = f"{self._root}{SYSTEM}/"

    def prefix(self) -> str:
        """The prefix of every object of the database, those of its tenants included; or of the tenant."""
        return self._root

    def tenants_prefix(self) -> str:
        """The prefix of every object of the database's tenants."""
        return f"{self._database}{TENANTS}/"

    def tenant_of_folder(self, folder: str) -> str | None:
        """The tenant whose objects lie in this folder of ``tenants_prefix()``; None for a foreign folder."""
        texts = pk_texts(folder)
        if texts is None or len(texts) != 1 or not texts[0]:
            return None
        try:
            return texts[0] if tenant_folder(texts[0]) == folder else None
        except InvalidTenant:
            return None

    def document(self, table: str, stem: str) -> str:
        """The key of a document. Raises ValueError for a text that ``stem()`` cannot have made."""
        if not may_be_stem(stem):
            raise ValueError(f"{stem!r} is not the stem of a primary key of {table!r}.")
        return f"{self._root}{_folder(table)}/{stem}{SUFFIX}"

    def table_prefix(self, table: str) -> str:
        """The prefix of the documents of ``table``."""
        return f"{self._root}{_folder(table)}/"

    def stem_of_key(self, table: str, key: str) -> str | None:
        """The stem of a document's key; None for a foreign object, which no document of ``table`` can have as key."""
        return self.stems_of_keys(table)(key) if key.startswith(self.table_prefix(table)) else None

    def stems_of_keys(self, table: str) -> Callable[[str], str | None]:
        """``stem_of_key`` for many keys of one table, which all begin with its ``table_prefix``."""
        start, end = len(self.table_prefix(table)), -len(SUFFIX)

        def stem_of_key(key: str) -> str | None:
            if _PLAIN_NAME(key, start) is not None:  # as most are: scans live here
                return key[start:end]
            text = key[start:end]
            return text if key.endswith(SUFFIX) and is_stem(text) else None

        return stem_of_key

    def packs(self, table: str) -> PackKeys:
        """The keys of the packs of ``table``."""
        return self._pack_keys(_folder(table))

    def packs_of(self, prefix: str) -> PackKeys | None:
        """The keys of the packs of the table whose ``table_prefix`` this is; None for any other prefix."""
        folder = prefix.removeprefix(self._root).removesuffix("/")
        if not folder or "/" in folder or folder in _RESERVED or prefix != f"{self._root}{folder}/":
            return None
        return self._pack_keys(folder)

    def _pack_keys(self, folder: str) -> PackKeys:
        return PackKeys(f"{self._root}{folder}/", f"{self._system}packs/{folder}/", self.lease(f"pack-{folder}"))

    def is_of_packs(self, key: str) -> bool:
        """Whether ``key`` is of a pack or of an index of packs, of the database itself or of one of its tenants."""
        return _PACKS_FOLDER in key

    def manifest(self) -> str:
        """The key of the manifest of the indexes."""
        return self._system + _MANIFEST

    def is_manifest(self, key: str) -> bool:
        """Whether ``key`` is of a manifest, of the database itself or of one of its tenants."""
        return key.endswith(_SYSTEM_FOLDER + _MANIFEST)

    def checks(self) -> str:
        """The key of what the last checks have found."""
        return f"{self._system}checks{SUFFIX}"

    def job(self) -> str:
        """The key of the job that was last begun in the admin."""
        return f"{self._system}job{SUFFIX}"

    def sequence(self, table: str) -> str:
        """The key of the sequence of ``table``."""
        return f"{self._system}sequences/{_folder(table)}{SUFFIX}"

    def schema(self, table: str) -> str:
        """The key of the schema steps of ``table``."""
        return f"{self.schema_prefix()}{_folder(table)}{SUFFIX}"

    def schema_prefix(self) -> str:
        """The prefix of the schema steps of all tables."""
        return f"{self._system}schema/"

    def table_of_schema(self, key: str) -> str | None:
        """The table of a schema object's key; None for a foreign object, and for a name so long that the key only holds
        a hash of it."""
        texts = pk_texts(key[len(self.schema_prefix()) : -len(SUFFIX)])
        return texts[0] if texts is not None and self.schema(texts[0]) == key else None

    def raw_table(self, table: str) -> str:
        """The key of the SQL of a table that raw DDL made."""
        return f"{self.raw_table_prefix()}{_folder(table)}{SUFFIX}"

    def raw_table_prefix(self) -> str:
        """The prefix of the SQL of all tables that raw DDL made."""
        return f"{self._system}tables/"

    def name_of_raw_table(self, key: str) -> str | None:
        """The table of such a key; None for a foreign object, and for a name so long that the key only holds a hash."""
        texts = pk_texts(key[len(self.raw_table_prefix()) : -len(SUFFIX)])
        return texts[0] if texts is not None and self.raw_table(texts[0]) == key else None

    def unique(self, table: str, constraint: str, digest: str) -> str:
        """The key of the claim to the unique values with this digest."""
        return f"{self.unique_rule_prefix(table, constraint)}{_folder(digest)}{SUFFIX}"

    def unique_rule_prefix(self, table: str, constraint: str) -> str:
        """The prefix of all claims of ``table`` by one rule."""
        return f"{self.unique_prefix(table)}{_folder(constraint)}/"

    def unique_prefix(self, table: str) -> str:
        """The prefix of all claims of ``table``."""
        return f"{self._system}unique/{_folder(table)}/"

    def claim_of_key(self, table: str, key: str) -> str | None:
        """``<constraint>/<digest>`` of a claim's key; None for a foreign object, and for a constraint with a name so
        long that the key only holds a hash of it."""
        parts = key[len(self.unique_prefix(table)) : -len(SUFFIX)].split("/")
        texts = [pk_texts(part) for part in parts]
        if len(parts) != 2 or None in texts:
            return None
        claim = "/".join(text[0] for text in texts if text is not None)
        constraint, _, digest = claim.rpartition("/")
        return claim if self.unique(table, constraint, digest) == key else None

    def intent(self, id: str) -> str:
        """The key of the intent of a transaction."""
        return f"{self.intent_prefix()}{_folder(id)}{SUFFIX}"

    def intent_prefix(self) -> str:
        """The prefix of all intents."""
        return f"{self._system}intents/"

    def lease(self, name: str) -> str:
        """The key of a lease."""
        return f"{self._system}leases/{_folder(name)}{SUFFIX}"

    def probe(self, token: str) -> str:
        """The key of a probe within this database."""
        return f"{self._system}probe/{_folder(token)}{SUFFIX}"

    def is_system(self, key: str) -> bool:
        """Whether ``key`` is of a system object of this database."""
        return key.startswith(self._system) and is_object_key(key)


def _part(value: Value) -> str:
    if isinstance(value, str):
        return _encode(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _encode(str(int(value)) if value.is_integer() and abs(value) < _EXACT_INTEGER else repr(value))
    if value is None:
        return "=n"
    return "=b" + urlsafe_b64encode(value).decode().rstrip("=")


def _encode(text: str) -> str:
    if (text.isalnum() and text.isascii()) or _PLAIN.fullmatch(text):
        return text
    if not text:
        return "=e"
    quoted = quote(text, safe="", errors="surrogatepass").replace("~", "%7E")
    tail = quoted.lstrip(".")
    core = tail.rstrip(".")
    return "%2E" * (len(quoted) - len(tail)) + core + "%2E" * (len(tail) - len(core))


def _shorten(encoded: str) -> str:
    if len(encoded) <= _LIMIT:
        return encoded
    return f"{encoded[:_KEPT]}=h{hashlib.sha256(encoded.encode()).hexdigest()}"


@lru_cache(maxsize=4096)
def _folder(name: str) -> str:
    encoded = _shorten(_encode(name))
    # An escape that encoding never makes for a letter or underscore, so no other name can have this folder.
    return f"%5F{encoded[1:]}" if encoded.lower() in _RESERVED else encoded


def _values(stem: str) -> tuple[Value, ...] | None:
    if _HASHED.fullmatch(stem):
        return None
    try:
        return tuple(_value(part) for part in stem.split("!"))
    except ValueError:  # UnicodeDecodeError and binascii.Error are ValueErrors too
        return None


def _value(part: str) -> Value:
    if part == "=e":
        return ""
    if part == "=n":
        return None
    if part.startswith("=b"):
        return urlsafe_b64decode(part[2:] + "=" * (-(len(part) - 2) % 4))
    return unquote_to_bytes(part).decode(errors="surrogatepass")
