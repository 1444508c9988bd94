"""The collapse laboratory: small students that learn from their own samples, and the cures."""

from stillroom.collapse.lab.world import Collapse

__all__ = ["Collapse"]
