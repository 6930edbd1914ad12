"""Courses of experts, their weight paths, and the folder that holds them."""

import dataclasses
import json
import os
import shutil

import pytest
import torch

import attar
from attar import rng
from attar.experts import record
from attar.experts.foreseen import networks
from attar.plan import Plan
from attar.record import describe, rebuild
from attar.runs import RunDirectory
from attar.training import passes, paths
from attar.training.experts import Course, Experts, Flat, Staged
from attar.training.shards import shard_bytes
from attar.types import AttarError

MODEL = "convnet2-8"
COURSE = Course(MODEL, epochs=2, lr=0.1, batch=40, augmentation="color_crop_flip")
PLAN = Plan(threads=1)


@pytest.fixture(scope="module")
def recorded(toy, tmp_path_factory):
    path = tmp_path_factory.mktemp("experts") / "toy"
    return record(toy, COURSE, 3, out=path, plan=PLAN)


@pytest.fixture
def copied(recorded, tmp_path):
    """A folder that a test may spoil."""
    return shutil.copytree(recorded.path, tmp_path / "copied")


# -- which rows


def test_the_staged_course_has_the_rows_of_pads_public_code():
    ranked = [torch.arange(5000), torch.arange(5000, 10_000)]
    for epoch, (first, last) in {
        0: (0, 3750),
        1: (0, 3812),
        10: (0, 4375),
        19: (0, 4937),
        20: (0, 5000),
        40: (0, 5000),
        41: (500, 5000),
        60: (500, 5000),
        61: (1000, 5000),
        99: (1000, 5000),
    }.items():
        expected = torch.cat([rows[first:last] for rows in ranked])
        assert torch.equal(Staged().rows(ranked, epoch), expected), epoch


def test_a_class_of_few_rows_keeps_one():
    staged = Staged(start=0.2, full_at=10, removals=((10, 0.9),))
    ranked = [torch.tensor([7, 3]), torch.tensor([5])]
    assert staged.rows(ranked, 0).tolist() == [7, 5]
    assert staged.rows(ranked, 10).tolist() == [7, 3, 5]
    assert staged.rows(ranked, 11).tolist() == [3, 5]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"score": "forgetting"}, "give grand or el2n"),
        ({"start": 0.0}, "give a share in"),
        ({"full_at": -1}, "an epoch of 0 or more"),
        ({"removals": ((40, 0.2), (30, 0.3))}, "growing epochs"),
        ({"removals": ((40, 0.2), (60, 0.1))}, "shares in all that grow"),
        ({"removals": ((40, 1.0),)}, "stay below 1"),
        ({"start": 0.1, "full_at": 100, "removals": ((5, 0.5),)}, "After epoch 5 this course has left out all rows"),
        ({"networks": 0}, "1 or more networks"),
    ],
)
def test_stages_that_leave_nothing_are_refused(settings, said):
    with pytest.raises(AttarError, match=said):
        Staged(**settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"epochs": 0}, "0 epochs"),
        ({"batch": 0}, "batches of 0 rows"),
        ({"lr": 0.0}, "step size of 0"),
        ({"momentum": 1.0}, "momentum of 1"),
        ({"weight_decay": -1.0}, "weight decay of -1"),
        ({"augmentation": "blur"}, "blur"),
    ],
)
def test_courses_that_teach_nothing_are_refused(settings, said):
    with pytest.raises(AttarError, match=said):
        Course(**settings)


def test_a_course_survives_as_a_record():
    course = Course(MODEL, flat=Flat(alpha=0.3), staged=Staged("el2n", removals=((3, 0.1),)))
    assert rebuild(json.loads(json.dumps(describe(course)))) == course


# -- weight paths


def _started(problem, course, count):
    return networks(problem.task, course, 0, range(count))


def test_a_path_is_that_of_torchs_sgd(toy):
    course = dataclasses.replace(COURSE, momentum=0.5, weight_decay=0.01, augmentation="crop_flip")
    model, starts, seeds = _started(toy, course, 1)
    walked = list(paths.walk(toy.task, model, starts, toy.train, course, seeds))
    network = toy.task.build(MODEL)
    network.load_state_dict({name: value[0] for name, value in starts.items()})
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.5, weight_decay=0.01)
    for index in range(2):
        losses = []
        for (rows,) in paths.batches(toy.task, model, toy.train, course, seeds, index):
            optimiser.zero_grad()
            losses.append(toy.task.loss(network, None, rows))
            losses[-1].backward()
            optimiser.step()
        for name, value in network.named_parameters():
            torch.testing.assert_close(walked[index].params[name][0], value.detach(), rtol=1e-4, atol=1e-5)
        assert float(walked[index].losses) == pytest.approx(float(sum(losses).detach()) / 3, rel=1e-4)


def test_an_epoch_sees_every_row_once_and_each_expert_in_its_own_order(toy):
    course = dataclasses.replace(COURSE, augmentation="")
    model, _, seeds = _started(toy, course, 2)
    seen = [[], []]
    for rows in paths.batches(toy.task, model, toy.train, course, seeds, 0):
        for place, part in enumerate(rows):
            seen[place].append(part.x)
    first, second = (torch.cat(parts) for parts in seen)
    assert len(first) == len(toy.train)
    assert not torch.equal(first, second)
    assert torch.equal(first.flatten(1).sum(1).sort().values, toy.train.x.flatten(1).sum(1).sort().values)


def test_rows_of_one_update_are_augmented_apart(toy):
    course = dataclasses.replace(COURSE, augmentation="cutout")
    same = dataclasses.replace(toy.train, x=torch.ones_like(toy.train.x))
    model, _, seeds = _started(toy, course, 1)
    ((rows,), *_) = paths.batches(toy.task, model, same, course, seeds, 0)
    assert len(rows.x.unique(dim=0)) > 5


@pytest.mark.parametrize("flat", [None, Flat(rho=0.05, alpha=0.5)])
def test_experts_together_are_those_alone(toy, flat):
    course = dataclasses.replace(COURSE, flat=flat, momentum=0.5)
    model, starts, seeds = _started(toy, course, 3)
    *_, together = paths.walk(toy.task, model, starts, toy.train, course, seeds)
    for place, seed in enumerate(seeds):
        start = {name: value[place : place + 1] for name, value in starts.items()}
        *_, alone = paths.walk(toy.task, model, start, toy.train, course, [seed])
        for name, value in alone.params.items():
            torch.testing.assert_close(together.params[name][place], value[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.losses[place], alone.losses[0], rtol=1e-4, atol=1e-5)


def test_flat_experts_take_another_path(toy):
    ends = []
    for flat in (None, Flat(rho=0.5, alpha=0.0)):
        course = dataclasses.replace(COURSE, flat=flat)
        model, starts, seeds = _started(toy, course, 1)
        *_, last = paths.walk(toy.task, model, starts, toy.train, course, seeds)
        ends.append(last.params["head.weight"])
    assert not torch.allclose(*ends, atol=1e-3)


def test_under_kernels_the_last_batch_is_filled_up_by_rows_that_weigh_nothing(toy):
    kernels = toy.planned(Plan(precision="bf16"))
    model, starts, seeds = _started(toy, COURSE, 1)
    filled = [rows for (rows,) in paths.batches(kernels.task, model, toy.train, COURSE, seeds, 0)]
    plain = [rows for (rows,) in paths.batches(toy.task, model, toy.train, COURSE, seeds, 0)]
    assert [len(rows) for rows in plain] == [40, 40, 28]
    assert [len(rows) for rows in filled] == [40, 40, 40]
    params = {name: value[0] for name, value in starts.items()}
    one, loss = passes.gradient(toy.task, model, params, plain[-1])
    other, same = passes.gradient(toy.task, model, params, filled[-1])
    torch.testing.assert_close(loss, same)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-4, atol=1e-6)


def test_a_loss_that_is_not_finite_is_one_sentence(toy):
    course = dataclasses.replace(COURSE, model="mlp-8", lr=1e20)
    model, starts, seeds = _started(toy, course, 1)
    with pytest.raises(AttarError, match=r"became \S+ in epoch \d at lr 1e\+20: .* lower it"):
        list(paths.walk(toy.task, model, starts, toy.train, course, seeds))


def test_weights_that_the_last_update_spoils_are_one_sentence(toy):
    course = dataclasses.replace(COURSE, model="mlp-8", epochs=1, batch=len(toy.train), lr=1e38)
    course = dataclasses.replace(course, weight_decay=1e38)
    model, starts, seeds = _started(toy, course, 1)
    with pytest.raises(
        AttarError, match=r"The weights \(\S+\) of an expert became \S+ in epoch 0 at lr 1e\+38: .* lower it"
    ):
        list(paths.walk(toy.task, model, starts, toy.train, course, seeds))


# -- the folder


def test_weights_are_read_by_expert_and_epoch(toy, recorded):
    assert len(recorded) == 3
    assert recorded.epochs == 2
    assert recorded.fingerprint == toy.spec.fingerprint
    assert recorded.course == COURSE
    model, starts, seeds = _started(toy, recorded.course, 1)
    names = [name for name, _ in model.named_parameters()]
    weights = recorded.weights(0, 0)
    assert list(weights) == names
    assert all(torch.equal(weights[name], starts[name][0]) for name in names)
    for walked in paths.walk(toy.task, model, starts, toy.train, recorded.course, seeds):
        weights = recorded.weights(0, walked.index + 1)
        for name in names:
            assert weights[name].dtype == torch.float32
            torch.testing.assert_close(weights[name], walked.params[name][0])
    assert not torch.equal(recorded.weights(1, 0)["head.weight"], recorded.weights(0, 0)["head.weight"])


def test_what_is_read_may_be_changed(recorded):
    recorded.weights(0, 1)["head.weight"].zero_()
    assert recorded.weights(0, 1)["head.weight"].abs().sum() > 0


def test_the_record_tells_losses_accuracy_bytes_and_seconds(toy, recorded):
    model, starts, seeds = _started(toy, recorded.course, 1)
    losses = [float(walked.losses) for walked in paths.walk(toy.task, model, starts, toy.train, recorded.course, seeds)]
    assert recorded.losses(0) == pytest.approx(losses, rel=1e-5)
    end = recorded.weights(1, 2)
    assert recorded.accuracy(1) == [passes.accuracy(toy.task, model, end, toy.validation)]
    files = [path for path in os.listdir(recorded.path) if path.endswith(".safetensors")]
    assert recorded.nbytes == sum(os.path.getsize(os.path.join(recorded.path, name)) for name in files)
    assert recorded.nbytes == 3 * shard_bytes(recorded.settings)
    assert recorded.seconds > 0


def test_bf16_takes_half_and_is_rounded(toy, recorded, tmp_path):
    rounded = record(toy, COURSE, 1, out=tmp_path / "bf16", plan=PLAN, precision="bf16")
    header = shard_bytes(rounded.settings) - shard_bytes(recorded.settings) / 2
    assert rounded.nbytes == shard_bytes(rounded.settings)
    assert 0 < header < 2000
    for name, value in rounded.weights(0, 2).items():
        assert value.dtype == torch.float32
        assert torch.equal(value, recorded.weights(0, 2)[name].bfloat16().float())


def test_the_checksum_is_of_settings_and_experts(copied, recorded):
    assert Experts.load(copied).checksum == recorded.checksum
    (copied / "expert-0002.json").unlink()
    fewer = Experts.load(copied)
    assert len(fewer) == 2
    assert fewer.checksum != recorded.checksum
    assert fewer.checksum == recorded.checksum_of([0, 1])
    assert recorded.checksum == recorded.checksum_of([0, 1, 2])
    with pytest.raises(AttarError, match=r"There is no expert 2 in .*: of the experts there are 2 whole, from 0 to 1"):
        fewer.checksum_of([0, 2])


def test_an_expert_keeps_its_number_whichever_others_are_there(copied, recorded):
    (copied / "expert-0000.json").unlink()
    experts = Experts.load(copied)
    assert experts.numbers == [1, 2]
    assert torch.equal(experts.weights(1, 2)["head.weight"], recorded.weights(1, 2)["head.weight"])
    assert experts.losses(2) == recorded.losses(2)
    assert experts.accuracy(2) == recorded.accuracy(2)
    for read in (lambda number: experts.weights(number, 0), experts.losses, experts.accuracy):
        with pytest.raises(
            AttarError, match=r"There is no expert 0 in .*: of the experts there are 2 whole, from 1 to 2"
        ):
            read(0)


def test_it_is_a_record_by_its_path(recorded):
    assert rebuild(describe(recorded)) == recorded


def test_only_whole_experts_count(copied):
    (copied / "expert-0003.safetensors").write_bytes(b"half")  # its record is written after it
    (copied / ".expert-0004.safetensors.1.partial").write_bytes(b"half")
    experts = Experts.load(copied)
    assert len(experts) == 3
    with pytest.raises(AttarError, match="There is no expert 3 in .*: of the experts there are 3 whole, from 0 to 2"):
        experts.weights(3, 0)


def test_more_experts_are_seen_as_they_come(copied):
    experts = Experts.load(copied)
    for kind in ("safetensors", "json"):
        os.rename(copied / f"expert-0002.{kind}", copied / f"later.{kind}")
    assert len(experts) == 2
    for kind in ("safetensors", "json"):
        os.rename(copied / f"later.{kind}", copied / f"expert-0002.{kind}")
    assert len(experts) == 3


@pytest.mark.parametrize("kept", [0, 4, 1000, -1])
def test_a_shard_that_is_cut_short_is_named(copied, kept):
    shard = copied / "expert-0001.safetensors"
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(
        AttarError, match=r"expert-0001.safetensors is cut short .* remove expert-0001.safetensors and its"
    ):
        Experts.load(copied)


def test_a_shard_that_was_altered_is_named_when_it_is_read(copied):
    shard = copied / "expert-0001.safetensors"
    data = bytearray(shard.read_bytes())
    data[-3] ^= 1
    shard.write_bytes(data)
    experts = Experts.load(copied)
    experts.weights(0, 1)
    with pytest.raises(AttarError, match=r"expert-0001.safetensors has changed since it was recorded"):
        experts.weights(1, 0)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"course": dataclasses.replace(COURSE, lr=0.2)}, r"\(its lr is 0.2, and theirs is 0.1\)"),
        ({"course": dataclasses.replace(COURSE, model="mlp-8")}, r"\(its model is mlp-8, and theirs is convnet2-8\)"),
        ({"seed": 1}, r"\(its seed is 1, and theirs is 0\)"),
        ({"precision": "bf16"}, r"\(its precision is bf16, and theirs is fp32\)"),
        (
            {"problem": attar.data.toy.images(seed=1)},
            r"\(its problem.fingerprint is sha256:\w+, and theirs is sha256:\w+\)",
        ),
    ],
)
def test_a_foreign_shard_is_named_with_what_is_foreign(toy, copied, tmp_path, other, said):
    settings = {"problem": toy, "course": COURSE, "plan": PLAN, **other}
    foreign = record(settings.pop("problem"), settings.pop("course"), 2, out=tmp_path / "foreign", **settings)
    for kind in ("safetensors", "json"):
        shutil.copy(f"{foreign.path}/expert-0001.{kind}", copied)
    with pytest.raises(AttarError, match=f"expert-0001.safetensors is not one of these experts {said}"):
        Experts.load(copied)


def test_a_shard_under_another_number_or_of_another_program_is_foreign(copied):
    shutil.copy(copied / "expert-0000.safetensors", copied / "expert-0002.safetensors")
    with pytest.raises(
        AttarError, match=r"expert-0002.safetensors is not one of these experts \(its weights are others'"
    ):
        Experts.load(copied)
    from safetensors.torch import save_file

    save_file({"head.weight": torch.zeros(3, 3, 32)}, copied / "expert-0002.safetensors")
    with pytest.raises(AttarError, match=r"expert-0002.safetensors is not one of these experts"):
        Experts.load(copied)


def test_what_is_no_folder_of_experts_is_refused(tmp_path, copied):
    with pytest.raises(AttarError, match=r"There is no folder .*nowhere: give the folder that 'attar experts"):
        Experts.load(tmp_path / "nowhere")
    with pytest.raises(AttarError, match=r"has no experts.json, so it holds no experts"):
        Experts.load(tmp_path)
    RunDirectory.create(tmp_path / "run", {"steps": 1})
    with pytest.raises(AttarError, match=r"run is a run and holds no experts"):
        Experts.load(tmp_path / "run")
    settings = json.loads((copied / "experts.json").read_text())
    (copied / "experts.json").write_text(json.dumps({**settings, "format": 99}))
    with pytest.raises(AttarError, match="written by a newer attar"):
        Experts.load(copied)
    (copied / "experts.json").write_text("{")
    with pytest.raises(AttarError, match="experts.json cannot be read"):
        Experts.load(copied)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "it has no values by name"),
        ("{}", "course is not there"),
        ({"course": {"type": "attar.training.flat:Flat", "fields": {}}}, "its course is none"),
        (
            {"course": {"type": "attar.training.course:Course", "fields": {"epochs": "two"}}},
            "its course cannot be made",
        ),
        ({"course": {"type": "attar.training.course:Course", "fields": {"lr": 0.0}}}, "its course cannot be made"),
        ({"course": {"type": 3, "fields": {}}}, "its course cannot be made"),
        ({"problem": {}}, "name is not there"),
        ({"precision": "fp8"}, "precision is not there or makes no sense"),
        ({"parameters": {"head.weight": 3}}, "parameters is not there or makes no sense"),
    ],
)
def test_damaged_settings_are_one_sentence(copied, text, said):
    if isinstance(text, dict):
        text = json.dumps({**json.loads((copied / "experts.json").read_text()), **text})
    (copied / "experts.json").write_text(text)
    with pytest.raises(AttarError, match=rf"experts.json is damaged \({said}.*: record the experts again in another"):
        Experts.load(copied)


@pytest.mark.parametrize("text", ["{}", "[]", '{"sha256": 3}'])
def test_a_damaged_record_of_a_shard_is_one_sentence(copied, text):
    (copied / "expert-0001.json").write_text(text)
    experts = Experts.load(copied)
    for read in (lambda: experts.seconds, lambda: experts.checksum, lambda: experts.losses(1)):
        with pytest.raises(AttarError, match=r"expert-0001.json is damaged .*: remove expert-0001.safetensors and its"):
            read()


def test_a_folder_that_vanishes_while_it_is_used_is_one_sentence(copied):
    experts = Experts.load(copied)
    shutil.rmtree(copied)
    for read in (lambda: experts.weights(0, 0), lambda: len(experts)):
        with pytest.raises(AttarError, match=r"copied cannot be read any more \(No such file"):
            read()


def test_epochs_that_were_not_recorded_are_refused(recorded):
    with pytest.raises(AttarError, match="trained for 2 epochs: there is no 3"):
        recorded.weights(0, 3)


def test_other_data_are_told(toy, recorded, copied):
    recorded.check(toy)
    with pytest.raises(AttarError, match=r"were recorded on other data \(toy, fingerprint"):
        recorded.check(attar.data.toy.images(seed=1))
    settings = json.loads((copied / "experts.json").read_text())
    settings["problem"]["normalisation"]["fields"]["mean"] = [0.1]
    (copied / "experts.json").write_text(json.dumps(settings))
    with pytest.raises(AttarError, match="learned from rows that were normalised otherwise than these"):
        Experts(str(copied)).check(toy)
    shutil.copy(f"{recorded.path}/experts.json", copied)
    for number in range(3):
        (copied / f"expert-000{number}.json").unlink()
    with pytest.raises(AttarError, match="There is no whole expert in .* yet"):
        Experts.load(copied).check(toy)


def test_starting_weights_are_drawn_as_those_of_fresh_networks(toy, recorded):
    with rng.seeded(rng.draw_seed(rng.generator(rng.derive(0, "expert", 1), "start"))):
        network = toy.task.build(MODEL)
    assert torch.equal(recorded.weights(1, 0)["head.weight"], network.head.weight.detach())


def test_stages_that_no_epoch_reaches_are_told():
    assert Staged().cautions(62) == []  # the last epoch, 61, is the first after 60
    [said] = Staged().cautions(61)
    assert said == (
        "61 epochs end before stages of the course: the easiest rows are left out after epoch 60 (removals); give 62 epochs or more, "
        "or earlier stages"
    )
    staged = Staged(start=0.5, full_at=4, removals=())
    assert "all rows are there at epoch 4 (full_at), where the last has 88 %; give 5 epochs" in staged.cautions(4)[0]
    assert staged.cautions(5) == Staged(start=1.0, full_at=4, removals=()).cautions(1) == []
    assert "1 epoch ends before" in staged.cautions(1)[0]
