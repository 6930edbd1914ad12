"""Settings of methods that make no sense are refused in a sentence, when the method is made."""

import pytest

from attar import methods
from attar.types import AttarError


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: methods.m3d(updates=0), "serves for 0 steps"),
        (lambda: methods.idc(matchings=0), "matched once or more"),
        (lambda: methods.dc(matchings=0), "matched once or more"),
        (lambda: methods.dc(epochs=-1), "matched once or more"),
        (lambda: methods.idc(distance="foo"), "no distance 'foo' here: give squared or l1"),
        (lambda: methods.dsa(distance="foo"), "no distance 'foo' here"),
        (lambda: methods.ncfm(sampling="nrmal"), "no sampling 'nrmal'"),
        (lambda: methods.cafe(lr_model=-1), "step size of -1"),
        (lambda: methods.idm(lr_model=float("nan")), "step size of nan"),
        (lambda: methods.ncfm(lr_model=0), "step size of 0"),
        (lambda: methods.dc(lr_model=0), "step size of 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, sentence):
    with pytest.raises(AttarError) as refused:
        make()
    assert sentence in str(refused.value)
