"""The named protocols and the schedules that they make."""

import dataclasses

from attar.evaluation import Protocol
from attar.record import describe, rebuild


def test_the_papers_protocol_is_the_familys():
    protocol = Protocol.paper
    assert protocol.models == ("convnet3",)
    schedule = protocol.schedule(100, augmented=True)
    assert (schedule.epochs, schedule.lr, schedule.momentum, schedule.weight_decay) == (1000, 0.01, 0.9, 5e-4)
    assert (schedule.batch_size, schedule.decays, schedule.total(100)) == (256, (501,), 1001)
    assert protocol.schedule(100, augmented=False).epochs == 300
    assert protocol.schedule(5_000, augmented=True).epochs == 1000  # 50 images of each of 100 classes


def test_full_data_has_an_affordable_schedule():
    mnist = Protocol.paper.schedule(54_000, augmented=True, full=True, full_epochs=10)
    assert (mnist.epochs, mnist.total(54_000)) == (10, 11 * 211)
    cifar = Protocol.paper.schedule(50_000, augmented=True, full=True, full_epochs=30)
    assert cifar.epochs == 30
    unstated = Protocol.paper.schedule(54_000, augmented=True, full=True)
    assert unstated.total(54_000) <= Protocol.paper.full_updates < unstated.total(54_000) + 211


def test_a_cap_below_one_pass_is_met_within_it():
    schedule = Protocol.quick.schedule(10**6, augmented=True, full=True)
    assert (schedule.epochs, schedule.total(10**6)) == (0, Protocol.quick.full_updates)


def test_protocols_are_equal_by_their_numbers_and_can_be_recorded():
    assert Protocol.paper != Protocol.quick
    assert dataclasses.replace(Protocol.paper) == Protocol.paper
    assert dataclasses.replace(Protocol.paper, lr=0.02) != Protocol.paper
    assert rebuild(describe(Protocol.quick)) == Protocol.quick


def test_the_augmentation_is_the_datas_own_unless_named():
    assert Protocol.paper.strategy("crop_flip") == "crop_flip"
    assert dataclasses.replace(Protocol.paper, augmentation="").strategy("crop_flip") == ""
    assert dataclasses.replace(Protocol.paper, augmentation="dc").strategy("crop_flip") == "dc"


def test_a_protocol_describes_itself():
    text = Protocol.paper.describe()
    assert all(part in text for part in ("paper", "1000 epochs", "0.01", "256", "after the last epoch"))
