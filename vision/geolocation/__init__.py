"""Where on the globe was it taken? The room of cells on the sphere and positions in them: its front door."""

from __future__ import annotations
