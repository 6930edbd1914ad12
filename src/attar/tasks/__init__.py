"""What a modality owes: loss, features, groups, metric, networks. One file a modality."""

from attar.tasks.images import ImageClassification

__all__ = ["ImageClassification"]
