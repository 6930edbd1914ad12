"""Settings behind a method's name, as in `attar compare --methods dm+lr=10`."""

import pytest

from attar.cli import wording
from attar.cli.named import methods_named


def test_settings_behind_a_name_are_converted_as_options_are():
    asked = (
        "full, dm+lr=1e+1+batch=64,random+quotas=cat=3,dog=5+keep=3+keep=8+weighted=true,k_center+prefer-duplicate=last"
    )
    assert methods_named(asked) == [
        "full",
        ("dm", {"lr": 10.0, "batch": 64}),
        ("random", {"keep": ("3", "8"), "quotas": {"cat": 3, "dog": 5}, "weighted": True}),
        ("k_center", {"prefer_duplicate": "last"}),
    ]


@pytest.mark.parametrize(
    ("word", "settings"),
    [
        ("herding+features=my%20own/a%2Cb.npy", {"features": "my own/a,b.npy"}),
        ("herding+features=x%2By%3D1.npy", {"features": "x+y=1.npy"}),
        ("random+keep=cat%2F1.jpg+keep=a%2Cb=c", {"keep": ("cat/1.jpg", "a,b=c")}),
        ("random+quotas=a%2Bb=3,c%2Cd=5", {"quotas": {"a+b": 3, "c,d": 5}}),
        ("random+quotas=a%2Bb=3+quotas=c=d=5", {"quotas": {"a+b": 3, "c=d": 5}}),
    ],
)
def test_letters_that_tell_methods_and_settings_apart_are_written_as_in_addresses(word, settings):
    assert methods_named(f"dm,{word},kmeans") == ["dm", (word.partition("+")[0], settings), "kmeans"]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("epochs=1 leaves nothing: give 2.", "--epochs 1 leaves nothing: give 2."),
        ("So keep= says nothing: use centres='medoids'.", "So --keep says nothing: use --centres medoids."),
        ("Not model=convnet3, which nobody gave.", "Not model=convnet3, which nobody gave."),
        ("A quota for the class 'epochs=3' is none.", "A quota for the class 'epochs=3' is none."),
        ("There is no file runs/keep=3/my-epochs=3.npy.", "There is no file runs/keep=3/my-epochs=3.npy."),
        ("A class's rows and epochs=3 of attar's.", "A class's rows and --epochs 3 of attar's."),
    ],
)
def test_settings_alone_are_told_as_options(sentence, expected):
    known = ["epochs", "keep", "centres", "model"]
    assert wording.of_settings(sentence, known, ["epochs", "keep"], wording.as_option) == expected


def test_what_is_said_of_a_table_is_said_in_options():
    said = "Fill them in by impute=True, leave them out by drop_missing=True, or leave out a column by types={'my id': 'drop'}."
    told = "Fill them in by --impute, leave them out by --drop-missing, or leave out a column by --types 'my id=drop'."
    assert wording.in_options(said) == told
    assert wording.in_options("types={'id': 'drop'}") == "--types id=drop"
    said = "for rows give options={'augmentation': '', 'factor': 1}."
    assert wording.in_options(said) == "for rows give --augmentation '' --factor 1."
