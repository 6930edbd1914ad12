"""What a modality owes: loss, features, groups, metric, networks. One file a modality."""

from attar.tasks.images import ImageClassification
from attar.tasks.tables import TableTask

__all__ = ["ImageClassification", "TableTask"]
