"""Distilled: the small dataset that comes out. Saved as a folder that opens without attar."""

from attar.distilled.card import FORMAT_VERSION, OPEN_WITHOUT_ATTAR, Training
from attar.distilled.dataset import Distilled
from attar.distilled.own import FixedStart, Own

__all__ = ["FORMAT_VERSION", "OPEN_WITHOUT_ATTAR", "Distilled", "FixedStart", "Own", "Training"]
