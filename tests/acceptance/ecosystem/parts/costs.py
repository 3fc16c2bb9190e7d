"""What the engine does for common steps: statements, and requests for documents."""

from __future__ import annotations
