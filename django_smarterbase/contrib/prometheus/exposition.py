"""The metrics as Prometheus reads them."""

from __future__ import annotations

import os
from typing import NamedTuple

from .client import REGISTRY, CollectorRegistry, MultiProcessCollector, choose_encoder


class Exposition(NamedTuple):
    """A body, and the media type that it is of."""

    body: bytes
    content_type: str


def exposition(accept: str = "") -> Exposition:
    """All metrics of this process, or of all processes that share ``PROMETHEUS_MULTIPROC_DIR``.

    Those of other libraries in the default registry are among them. ``accept`` is the request's header, by which
    Prometheus asks for OpenMetrics.
    """
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    encode, content_type = choose_encoder(accept)
    return Exposition(encode(registry), content_type)
