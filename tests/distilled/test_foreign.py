"""Sets in the layouts of public repositories, read and judged."""

import collections
import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

import attar
from attar.cli import judge
from attar.data import toy
from attar.distilled import unpacking
from attar.distilled.foreign import read_foreign
from attar.evaluation.saved import evaluate_saved
from attar.types import AttarError


@pytest.fixture(scope="module")
def grey():
    return toy.images()  # 3 classes, 1 x 8 x 8


@pytest.fixture(scope="module")
def images(grey):
    """Two normalised images a class, and their ids, as DC orders them."""
    rows = torch.cat([ids[:2] for ids in grey.members.values()])
    return grey.train.x[rows], torch.arange(3).repeat_interleave(2)


def saved(path, tree):
    torch.save(tree, path)
    return path


def raw(grey, x):
    return grey.spec.normalisation.undo(x)


def same(value, grey, x, y):
    torch.testing.assert_close(value.normalised().x, x)
    assert value.data.y.tolist() == y.tolist()
    assert value.data.y.dtype == torch.int64
    assert value.training.normalisation == grey.spec.normalisation


# -- layouts


def dc_file(path, images, experiments=2, accuracies=(np.float64(0.9), np.float64(0.91))):
    """As main.py of DC, DSA and DM saves it; accuracies are numpy's numbers."""
    x, y = images
    data = [[(x + number).detach(), y] for number in range(experiments)]
    return saved(path, {"data": data, "accs_all_exps": {"ConvNet": list(accuracies)}})


def test_dc_dsa_dm_take_the_last_experiment_and_say_so(tmp_path, grey, images):
    path = dc_file(tmp_path / "res_DC_MNIST_ConvNet_2ipc.pt", images)
    value = read_foreign(path, grey, "data")
    same(value, grey, images[0] + 1, images[1])
    assert "holds 2 sets; this is number 1" in value.made_by["notes"][0]
    same(read_foreign(path, grey, "data", experiment=0), grey, *images)


def test_an_experiment_that_is_not_there_is_refused(tmp_path, grey, images):
    path = dc_file(tmp_path / "res.pt", images)
    with pytest.raises(AttarError, match="sets 0 to 1, and no 2"):
        read_foreign(path, grey, "data", experiment=2)


def test_accuracies_as_numpy_arrays_are_passed_over(tmp_path, grey, images):
    path = dc_file(tmp_path / "res.pt", images, 1, [np.arange(3.0), np.array(["a", None], dtype=object)])
    same(read_foreign(path, grey, "data"), grey, *images)


def test_files_of_old_torch_are_read(tmp_path, grey, images):
    torch.save({"data": [list(images)], "accs_all_exps": {}}, tmp_path / "r.pt", _use_new_zipfile_serialization=False)
    same(read_foreign(tmp_path / "r.pt", grey, "data"), grey, *images)


def test_idc_lies_within_0_and_1_and_needs_no_option(tmp_path, grey, images):
    x, y = raw(grey, images[0]).clamp(0, 1), images[1]
    value = read_foreign(saved(tmp_path / "data_best.pt", [x, y]), grey)
    torch.testing.assert_close(value.data.x, x)
    assert "decoded first" in value.made_by["notes"][0]
    assert value.training.normalisation == grey.spec.normalisation


def test_idc_that_was_not_clamped_needs_the_option(tmp_path, grey, images):
    path = saved(tmp_path / "data.pt", (raw(grey, images[0]) - 0.1, images[1]))
    with pytest.raises(AttarError, match="does not say how its images.*--normalisation data.*none.*0.1307/0.3081"):
        read_foreign(path, grey)
    torch.testing.assert_close(read_foreign(path, grey, "none").data.x, raw(grey, images[0]) - 0.1)


def test_mtt_has_its_labels_and_step_size_in_files_beside(tmp_path, grey, images):
    x, y = images
    order = torch.tensor([5, 0, 3, 1, 2, 4])
    path = saved(tmp_path / "images_best.pt", x[order].requires_grad_())
    saved(tmp_path / "labels_best.pt", y[order])
    value = read_foreign(path, grey, "data")
    same(value, grey, x[order], y[order])
    assert value.training.step_size is None
    assert any("whitened" in note for note in value.made_by["notes"])
    saved(tmp_path / "lr_best.pt", 0.025)
    assert read_foreign(path, grey, "data").training.step_size == 0.025


def test_images_alone_are_taken_class_by_class(tmp_path, grey, images):
    value = read_foreign(saved(tmp_path / "images_100.pt", images[0]), grey, "data")
    same(value, grey, *images)
    assert any("2 images a class were assumed" in note for note in value.made_by["notes"])


def test_images_alone_that_cannot_be_so_many_a_class_are_refused(tmp_path, grey, images):
    with pytest.raises(AttarError, match="no labels for its 5 images"):
        read_foreign(saved(tmp_path / "images_100.pt", images[0][:5]), grey, "data")


def test_soft_labels_stay_soft_and_one_hot_ones_become_ids(tmp_path, grey, images):
    x, y = images
    one_hot = torch.nn.functional.one_hot(y, 3)
    same(read_foreign(saved(tmp_path / "a.pt", [x, one_hot]), grey, "data"), grey, x, y)
    soft = (one_hot * 2.0).softmax(1)
    value = read_foreign(saved(tmp_path / "b.pt", {"images": x, "labels": soft}), grey, "data")
    assert value.training.labels == "soft"
    torch.testing.assert_close(value.data.y, soft)
    with pytest.raises(AttarError, match="no probabilities"):
        read_foreign(saved(tmp_path / "c.pt", [x, one_hot * 2.0]), grey, "data")


@pytest.mark.parametrize("names", [("X", "y"), ("images", "labels"), ("arr_0", "arr_1")])
@pytest.mark.parametrize("layout", ["nchw", "nhwc", "nhw"])
def test_npz_by_any_names_with_channels_anywhere(tmp_path, grey, images, names, layout):
    x = images[0].numpy()
    x = {"nchw": x, "nhwc": x.transpose(0, 2, 3, 1), "nhw": x[:, 0]}[layout]
    np.savez(tmp_path / "set.npz", **dict(zip(names, (x.astype(np.float64), images[1].numpy()), strict=True)))
    same(read_foreign(tmp_path / "set.npz", grey, "data"), grey, *images)


def test_eight_bit_images_need_no_option_and_take_none(tmp_path, grey, images):
    x = (raw(grey, images[0]).clamp(0, 1) * 255).round().to(torch.uint8)
    np.savez(tmp_path / "set.npz", X=x.numpy(), y=images[1].numpy(), class_names=np.array(["a", "b", "c"]))
    torch.testing.assert_close(read_foreign(tmp_path / "set.npz", grey).data.x, x / 255)
    with pytest.raises(AttarError, match="whole numbers"):
        read_foreign(tmp_path / "set.npz", grey, "data")


# -- what was done to the images


def test_numbers_by_channel_are_undone(tmp_path):
    colour = toy.images(channels=3)
    x = torch.randn(3, 3, 8, 8)
    path = saved(tmp_path / "a.pt", [x, torch.arange(3)])
    value = read_foreign(path, colour, "0.5,0.25,0/0.1,0.2,0.3")
    torch.testing.assert_close(value.data.x[:, 1], x[:, 1] * 0.2 + 0.25)
    torch.testing.assert_close(read_foreign(path, colour, "0.5/0.1").data.x, x * 0.1 + 0.5)
    assert value.made_by["normalisation"] == {"mean": [0.5, 0.25, 0.0], "std": [0.1, 0.2, 0.3]}


@pytest.mark.parametrize("asked", ["mnist", "0.5", "0.5/0", "1,2/1,2", "nan/1", "a/b", "1/2/3", ""])
def test_what_is_no_normalisation_is_refused(tmp_path, grey, images, asked):
    with pytest.raises(AttarError, match="normalis"):
        read_foreign(saved(tmp_path / "a.pt", list(images)), grey, asked)


def test_whitened_sets_are_refused(tmp_path, grey, images):
    with pytest.raises(AttarError, match="ZCA-whitened images cannot be judged"):
        read_foreign(saved(tmp_path / "a.pt", list(images)), grey, "zca")


def test_none_for_images_far_from_0_and_1_is_refused(tmp_path, grey, images):
    with pytest.raises(AttarError, match=r"far outside \[0, 1\]"):
        read_foreign(saved(tmp_path / "a.pt", [images[0] * 5, images[1]]), grey, "none")


def test_data_for_images_within_0_and_1_is_remarked_upon(tmp_path, grey, images):
    path = saved(tmp_path / "a.pt", [raw(grey, images[0]).clamp(0, 1), images[1]])
    assert any("seldom" in note for note in read_foreign(path, grey, "data").made_by["notes"])


# -- what does not fit


def test_images_of_another_size_are_refused_with_what_is_there(tmp_path, grey):
    path = saved(tmp_path / "a.pt", {"data": [[torch.zeros(10, 3, 32, 32), torch.zeros(10)]]})
    with pytest.raises(AttarError, match=r"no images of \(1, 8, 8\).*\(10, 3, 32, 32\), \(10,\)"):
        read_foreign(path, grey, "data")


def test_labels_of_more_classes_are_refused(tmp_path, grey, images):
    with pytest.raises(AttarError, match="labels of .* run from 2 to 7, and the class ids of toy are 0 to 2"):
        read_foreign(saved(tmp_path / "a.pt", [images[0], torch.arange(2, 8)]), grey, "data")


@pytest.mark.parametrize("labels", [torch.arange(5), torch.rand(6, 10)])
def test_labels_of_another_shape_are_refused(tmp_path, grey, images, labels):
    with pytest.raises(AttarError, match="for 6 images in 3 classes"):
        read_foreign(saved(tmp_path / "a.pt", [images[0], labels]), grey, "data")
    saved(tmp_path / "images_1.pt", images[0])
    saved(tmp_path / "labels_1.pt", labels)
    with pytest.raises(AttarError, match="for 6 images in 3 classes"):
        read_foreign(tmp_path / "images_1.pt", grey, "data")


@pytest.mark.parametrize("label", [float("nan"), float("inf"), 0.5])
def test_labels_that_are_no_class_ids_are_refused(tmp_path, grey, images, label):
    labels = torch.tensor([0.0, 1, 2, 0, 1, label])
    with pytest.raises(AttarError, match="class ids of toy are 0 to 2"):
        read_foreign(saved(tmp_path / "a.pt", [images[0], labels]), grey, "data")


def test_classes_without_images_are_named_in_a_note(tmp_path, grey, images):
    value = read_foreign(saved(tmp_path / "a.pt", [images[0], images[1] // 2]), grey, "data")
    assert any("no image of 1 of the 3 classes" in note for note in value.made_by["notes"])


def test_several_tensors_of_images_side_by_side_are_refused(tmp_path, grey, images):
    tree = {"image_syn": images[0], "initial": images[0], "label_syn": images[1]}
    with pytest.raises(AttarError, match=r"2 tensors of images side by side \(image_syn, initial\)"):
        read_foreign(saved(tmp_path / "a.pt", tree), grey, "data")


def test_labels_are_told_by_name_where_others_fit(tmp_path, grey, images):
    x, y = images
    tree = {"ids": torch.arange(6), "label_syn": y, "image_syn": x}
    same(read_foreign(saved(tmp_path / "a.pt", tree), grey, "data"), grey, x, y)
    with pytest.raises(AttarError, match="several tensors that could be labels"):
        read_foreign(saved(tmp_path / "b.pt", {"ids": torch.arange(6), "of": y, "x": x}), grey, "data")


def test_values_that_are_not_finite_are_refused(tmp_path, grey, images):
    x = images[0].clone()
    x[4, 0, 0, 0] = float("nan")
    with pytest.raises(AttarError, match="1 of 6 images"):
        read_foreign(saved(tmp_path / "a.pt", [x, images[1]]), grey, "data")


# -- files that are not to be trusted


class Command:
    """What a hostile file holds: a call, made when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, grey, images, zipped):
    tree = {"data": [list(images)], "accs_all_exps": Command(tmp_path / "ran")}
    torch.save(tree, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(AttarError, match=r"more than tensors and numbers \(posix.mkdir\)"):
        read_foreign(tmp_path / "a.pt", grey, "data")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(tree["accs_all_exps"]))  # it would have run
    assert (tmp_path / "ran").exists()


def test_code_in_an_npz_is_refused_and_not_run(tmp_path, grey, images):
    np.savez(tmp_path / "a.npz", X=images[0].numpy(), y=np.array([Command(tmp_path / "ran")], dtype=object))
    with pytest.raises(AttarError, match="not a whole npz file of plain arrays"):
        read_foreign(tmp_path / "a.npz", grey, "data")
    assert not (tmp_path / "ran").exists()


def test_numpys_objects_in_a_file_are_never_made(tmp_path, grey, images, monkeypatch):
    """A forged array of numpy could hold pointers, so its state never reaches numpy."""
    made = []
    path = dc_file(tmp_path / "res.pt", images, 1, [np.float64(0.5), np.arange(2)])
    load = torch.load

    def spy(*arguments, **options):
        tree = load(*arguments, **options)
        made.extend(type(item) for item in tree["accs_all_exps"]["ConvNet"])
        assert options["weights_only"] is True
        return tree

    monkeypatch.setattr(torch, "load", spy)
    read_foreign(path, grey, "data")
    assert {kind.__module__ for kind in made} == {"attar.distilled.unpacking"}
    with pytest.raises(pickle.UnpicklingError):  # what was allowed is allowed no longer
        load(path, weights_only=True)


@pytest.mark.parametrize("content", [b"", b"not a file of torch", b"PK\x03\x04 cut short"])
@pytest.mark.parametrize("name", ["a.pt", "a.npz"])
def test_damaged_files_are_refused_in_a_sentence(tmp_path, grey, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AttarError, match="is not a whole"):
        read_foreign(tmp_path / name, grey, "data")


def claimed(x):
    """Tensors of forms that claim more than they hold, or hold no plain numbers."""
    return {
        "expanded": torch.zeros(1, *x.shape[1:]).expand(10**9, *x.shape[1:]),
        "meta": torch.empty(10**9, *x.shape[1:], device="meta"),
        "sparse": x.to_sparse(),
        "nested": torch.nested.nested_tensor(list(x)),
        "quantised": torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
        "complex": x.to(torch.complex64),
    }


@pytest.mark.filterwarnings("ignore")  # torch's own, of forms that it gives up
@pytest.mark.parametrize("form", ["expanded", "meta", "sparse", "nested", "quantised", "complex"])
@pytest.mark.parametrize("place", ["images", "labels", "beside"])
def test_tensors_that_are_not_stored_numbers_are_refused(tmp_path, grey, images, form, place):
    x, y = images
    odd = claimed(x)[form]
    tree = {"images": [odd, y], "labels": [x, odd], "beside": [x, y, {"deep": [odd]}]}[place]
    with pytest.raises(AttarError, match="not plain stored numbers: save .* dense CPU tensors"):
        read_foreign(saved(tmp_path / "a.pt", tree), grey, "data")


def test_a_learned_step_size_that_is_no_number_is_refused(tmp_path, grey, images):
    saved(tmp_path / "images_best.pt", images[0])
    saved(tmp_path / "lr_best.pt", torch.empty(1, device="meta"))
    with pytest.raises(AttarError, match="lr_best.pt holds a tensor that is not plain stored numbers"):
        read_foreign(tmp_path / "images_best.pt", grey, "data")


@pytest.mark.parametrize("name", ["a.pt", "a.npz"])
def test_files_that_would_unpack_to_more_than_memory_are_refused(tmp_path, grey, images, name, monkeypatch):
    monkeypatch.setattr(unpacking, "LARGEST", 4 * 2**20)
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("X.npy", bytes(5 * 2**20))  # a few KiB on disk
    with pytest.raises(AttarError, match="unpacks to 0.0 GiB, more than"):
        read_foreign(tmp_path / name, grey)


def test_an_array_whose_header_claims_more_than_memory_is_refused(tmp_path, grey):
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (10**15, 1, 8, 8)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("X.npy", head.getvalue())
    with pytest.raises(AttarError, match="is not a whole npz file"):
        read_foreign(tmp_path / "a.npz", grey)


def test_lists_within_themselves_are_refused(tmp_path, grey):
    tree = []
    tree.append(tree)
    with pytest.raises(AttarError, match="lists within themselves"):
        read_foreign(saved(tmp_path / "a.pt", tree), grey)


def test_files_that_are_cut_short_are_refused(tmp_path, grey, images):
    path = saved(tmp_path / "a.pt", list(images))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(AttarError, match="is not a whole"):
        read_foreign(path, grey, "data")


def test_text_in_place_of_class_ids_is_refused(tmp_path, grey, images):
    np.savez(tmp_path / "a.npz", X=images[0].numpy(), y=np.array(list("aabbcc")))
    with pytest.raises(AttarError, match="array 'y' of .* holds no numbers"):
        read_foreign(tmp_path / "a.npz", grey, "data")


def test_files_without_tensors_are_refused(tmp_path, grey):
    saved(tmp_path / "a.pt", collections.OrderedDict(acc=0.5))
    with pytest.raises(AttarError, match="holds no images"):
        read_foreign(tmp_path / "a.pt", grey)
    with zipfile.ZipFile(tmp_path / "a.npz", "w"):
        pass
    with pytest.raises(AttarError, match="holds no images"):
        read_foreign(tmp_path / "a.npz", grey)


@pytest.mark.parametrize("name", ["none.pt", "none.npz"])
def test_files_that_are_not_there_are_named(tmp_path, grey, name):
    with pytest.raises(AttarError, match=f"{name} cannot be read: No such file"):
        read_foreign(tmp_path / name, grey)


# -- judged


def test_a_set_of_others_scores_as_the_same_rows_do(tmp_path):
    """Ten real digits a class, saved as DM saves them, against the rows themselves."""
    digits = attar.data.load("digits")
    rows = torch.cat([ids[:10] for ids in digits.members.values()])
    batch = digits.train.take(rows)
    path = saved(tmp_path / "res_DM_digits.pt", {"data": [[batch.x, batch.y]], "accs_all_exps": {"ConvNet": []}})
    options = {"models": ["mlp"], "runs": 1, "protocol": "quick"}
    scores = evaluate_saved(path, "digits", normalisation="data", **options)
    assert scores[0].mean == pytest.approx(
        attar.evaluate(batch, digits, ["mlp"], 1, attar.Protocol.quick)[0].mean, abs=0.01
    )
    assert scores[0].subject == "res_DM_digits.pt"
    assert scores[0].labels == "hard"
    assert any("taken for normalised by mean" in note for note in scores.notes)


def test_the_command_hands_its_options_on(tmp_path, capsys):
    digits = attar.data.load("digits")
    rows = torch.cat([ids[:1] for ids in digits.members.values()])
    x, y = digits.train.x[rows], digits.train.y[rows]
    path = saved(tmp_path / "res.pt", {"data": [[x, y], [x * float("nan"), y]]})
    judge.evaluate(
        path, "digits", models="mlp", runs=1, protocol="quick", normalisation="data", experiment=0, json_=True
    )
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert notes[0] == "res.pt holds 2 sets; this is number 0, from 0."
    assert "taken for normalised" in notes[1]


def test_files_of_others_need_their_data_named(tmp_path, images):
    with pytest.raises(AttarError, match="does not record its data"):
        evaluate_saved(saved(tmp_path / "a.pt", list(images)))


def test_options_of_such_files_are_refused_for_attars_own(tmp_path, images):
    with pytest.raises(AttarError, match=r"--normalisation and --experiment are of \.pt and \.npz files"):
        evaluate_saved(tmp_path, "digits", experiment=0)


def test_a_file_that_is_no_npz_is_refused_without_advice_to_load_pickles(tmp_path, toy):
    path = tmp_path / "text.npz"
    path.write_text("not arrays")
    with pytest.raises(AttarError, match="it holds no arrays of numbers alone") as refused:
        read_foreign(path, toy)
    assert "pickle" not in str(refused.value)
