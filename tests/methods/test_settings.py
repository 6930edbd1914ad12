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
        (lambda: methods.forgetting(epochs=1), "epochs=1 leaves nothing to forget: give 2 or more"),
        (lambda: methods.forgetting(networks=0), "networks=0 scores nothing: give 1 or more"),
        (lambda: methods.el2n(epochs=-1), "epochs=-1 trains nothing: give 0 or more"),
        (lambda: methods.grand(epochs=-1), "epochs=-1 trains nothing"),
        (lambda: methods.craig(epochs=-1), "epochs=-1 trains nothing"),
        (lambda: methods.glister(epochs=-1), "epochs=-1 trains nothing"),
        (lambda: methods.herding(features="mlp", epochs=-1), "epochs=-1 trains nothing"),
        (lambda: methods.k_center(start="middle"), "start='middle' is no first row: give mean or random"),
        (lambda: methods.facility_location(greedy="lazy"), "greedy='lazy' is no search"),
        (lambda: methods.graph_cut(trade_off=-1), "trade_off=-1 is no weight"),
        (lambda: methods.random(duplicates_within=float("nan")), "duplicates_within=nan is no distance"),
        (
            lambda: methods.random(prefer_duplicate="best"),
            "prefer_duplicate='best' is none: give first, last or central",
        ),
        (lambda: methods.random(quotas={"cat": -1}), "quota of -1 rows for the class 'cat'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, sentence):
    with pytest.raises(AttarError) as refused:
        make()
    assert sentence in str(refused.value)
