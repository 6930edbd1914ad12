"""One concrete Batch a modality."""

from attar.batches.images import Images
from attar.batches.tables import Encoded

__all__ = ["Encoded", "Images"]
