"""One concrete Batch a modality."""

from attar.batches.images import Images

__all__ = ["Images"]
