"""Seeds and generators."""

import torch

from attar import rng


def test_a_key_gives_the_same_draws_and_another_key_others():
    first = torch.rand(4, generator=rng.generator(3, "augment", 17))
    assert torch.equal(first, torch.rand(4, generator=rng.generator(3, "augment", 17)))
    for other in ((4, "augment", 17), (3, "real", 17), (3, "augment", 18), (3, "augment", 1, 7)):
        assert not torch.equal(first, torch.rand(4, generator=rng.generator(*other)))


def test_a_key_means_the_same_seed_in_every_process():
    """Python's own hash of a string differs from process to process; a resumed run must draw as before."""
    assert rng.derive(0, "method") == 1076132945239381511
    assert 0 <= rng.derive("x") < 2**63


def test_draws_do_not_depend_on_what_was_drawn_before():
    source = rng.generator(0, "a")
    torch.rand(100, generator=source)
    assert torch.equal(torch.rand(3, generator=rng.generator(0, "b")), torch.rand(3, generator=rng.generator(0, "b")))


def test_drawn_seeds_are_in_range_and_move_on():
    source = rng.generator(0, "seeds")
    seeds = [rng.draw_seed(source) for _ in range(20)]
    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**63 - 1 for seed in seeds)


def test_seeded_makes_constructors_repeatable_and_leaves_the_callers_randomness_alone():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with rng.seeded(1):
        one = torch.nn.Linear(3, 3).weight
    with rng.seeded(1):
        two = torch.nn.Linear(3, 3).weight
    assert torch.equal(one, two)
    assert torch.equal(torch.rand(2), expected)


def test_a_stratified_split_cuts_the_fraction_of_each_class():
    y = torch.tensor([0] * 10 + [1] * 20 + [2] * 2 + [3])
    kept, cut = rng.stratified(y, 0.2, rng.generator(0, "split"))
    assert torch.cat([kept, cut]).sort().values.tolist() == list(range(len(y)))
    assert torch.bincount(y[cut], minlength=4).tolist() == [2, 4, 1, 0]
    assert kept.tolist() == sorted(kept.tolist())
    again, _ = rng.stratified(y, 0.2, rng.generator(0, "split"))
    assert torch.equal(kept, again)


def test_a_stratified_split_never_empties_a_class():
    kept, cut = rng.stratified(torch.tensor([0, 0, 1, 1]), 0.99, rng.generator(0, "split"))
    assert (len(kept), len(cut)) == (2, 2)
