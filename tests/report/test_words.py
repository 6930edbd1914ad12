"""What a set holds, in words."""

import pytest

from attar.report.words import counts_in_words, listed


@pytest.mark.parametrize(
    ("counts", "names", "text"),
    [
        ([3, 3], ["cat", "dog"], "3 images a class"),
        ([1], ["cat"], "1 image a class"),
        ([3, 5], ["cat", "dog"], "8 images (cat 3, dog 5)"),
        ([1, 0], ["cat", "dog"], "1 image (cat 1, dog 0)"),
        ([1000, 2], ["cat", "dog"], "1,002 images (cat 1,000, dog 2)"),
        ([1, 12, 3, 3, 3, 3], list("abcdef"), "25 images (1 to 12 a class)"),
        ([1, 2], ["a name of a class" * 4, "dog"], "3 images (1 to 2 a class)"),
    ],
)
def test_classes_of_unequal_counts_are_told_or_their_range(counts, names, text):
    assert counts_in_words(counts, names) == text


def test_lists_end_in_a_word():
    assert [listed(list("abc"[:count])) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert listed(["1", "10"], "or") == "1 or 10"
