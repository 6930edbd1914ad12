"""Folders and zips of pictures."""

import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from attar import data
from attar.types import AttarError


def paint(path, colour=(200, 30, 30), size=(10, 10), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, colour).convert(mode) if isinstance(colour, tuple) else Image.new(mode, size, colour)
    image.save(path, **options)
    return path


def classes(root, names=("cat", "dog"), count=5, **options):
    for i, name in enumerate(names):
        for j in range(count):
            paint(root / name / f"{j}.png", colour=(40 * i + j, 100 + j, 5), **options)
    return root


def raw(problem, part="train"):
    return problem.spec.normalisation.undo(getattr(problem, part).x)


class TestLayout:
    def test_a_folder_a_class(self, tmp_path):
        problem = data.folder(classes(tmp_path / "photos", count=10))
        assert problem.spec.name == "photos"
        assert problem.spec.class_names == ("cat", "dog")
        assert problem.task.shape == (3, 10, 10)
        assert torch.bincount(problem.test.y).tolist() == [2, 2]
        assert torch.bincount(problem.validation.y).tolist() == [1, 1]
        assert problem.spec.notes == ()
        assert {name.partition("/")[0] for name in problem.origins} == {"cat", "dog"}
        assert len(set(problem.origins)) == len(problem.train)

    @pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
    def test_split_folders_are_honoured(self, tmp_path, validation):
        classes(tmp_path / "train", count=5)
        classes(tmp_path / validation, count=2)
        classes(tmp_path / "test", count=3)
        problem = data.folder(tmp_path)
        assert (len(problem.train), len(problem.validation), len(problem.test)) == (10, 4, 6)

    def test_without_a_test_folder_a_fifth_is_set_aside(self, tmp_path):
        classes(tmp_path / "train", count=10)
        problem = data.folder(tmp_path, validation=0)
        assert (len(problem.train), len(problem.test)) == (16, 4)

    def test_a_test_path_takes_the_place_of_the_own_test_folder(self, tmp_path):
        classes(tmp_path / "a" / "train")
        classes(tmp_path / "a" / "test", count=2)
        classes(tmp_path / "plain", count=3)
        classes(tmp_path / "split" / "train", count=4)
        classes(tmp_path / "split" / "test", count=1)
        assert len(data.folder(tmp_path / "a", test=tmp_path / "plain").test) == 6
        assert len(data.folder(tmp_path / "a", test=tmp_path / "split").test) == 2

    def test_pictures_in_deeper_folders_belong_to_the_class(self, tmp_path):
        classes(tmp_path)
        paint(tmp_path / "cat" / "2024" / "x.png")
        problem = data.folder(tmp_path, validation=0, test=classes(tmp_path.parent / "other"))
        assert torch.bincount(problem.train.y).tolist() == [6, 5]

    def test_hidden_and_foreign_files_are_passed_over(self, tmp_path):
        classes(tmp_path)
        paint(tmp_path / ".thumbs" / "x.png")
        (tmp_path / "cat" / "notes.txt").write_text("no picture")
        paint(tmp_path / "cat" / "._0.png")
        paint(tmp_path / "cover.png")
        problem = data.folder(tmp_path)
        assert len(problem.train) + len(problem.validation) + len(problem.test) == 10
        assert problem.spec.notes == (f"pictures outside the class folders of {tmp_path} were left out: 1",)

    def test_a_zip_with_and_without_a_folder_around_it(self, tmp_path):
        classes(tmp_path / "photos", count=10)
        expected = data.folder(tmp_path / "photos").spec.fingerprint
        for prefix in ("", "photos/", "photos/train/"):
            with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
                for file in sorted((tmp_path / "photos").rglob("*.png")):
                    archive.write(file, f"{prefix}{file.relative_to(tmp_path / 'photos')}")
                archive.writestr("__MACOSX/cat/._0.png", b"junk")
            assert data.folder(tmp_path / "photos.zip").spec.fingerprint == expected

    def test_numbered_classes_are_in_the_order_of_numbers(self, tmp_path):
        assert data.folder(classes(tmp_path, names=("2", "10"))).spec.class_names == ("2", "10")

    def test_found_again_with_the_same_rows(self, tmp_path):
        classes(tmp_path / "a", size=(30, 20))
        classes(tmp_path / "b", size=(30, 20))
        problem = data.folder(tmp_path / "a", test=tmp_path / "b", size=12, seed=3, validation=0.2)
        again = data.reopen(problem.spec.source)
        data.check_fingerprint(again, problem.spec.fingerprint)
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        (tmp_path / "a").rename(moved / "a")
        (tmp_path / "b").rename(moved / "b")
        with pytest.raises(
            AttarError, match=r"The data of this run were at .*b, where nothing is now: say where.*data_dir"
        ):
            data.reopen(problem.spec.source)
        data.check_fingerprint(data.reopen(problem.spec.source, data_dir=moved), problem.spec.fingerprint)


class TestSize:
    def test_the_median_side_and_the_note_that_says_so(self, tmp_path):
        classes(tmp_path, size=(20, 20))
        paint(tmp_path / "cat" / "wide.png", size=(60, 40))
        problem = data.folder(tmp_path)
        assert problem.task.shape == (3, 20, 20)
        assert problem.spec.notes[0].startswith(
            "images of 20 to 60 pixels a side were resized to 20 x 20, the median side"
        )
        assert problem.spec.source["size"] == 20

    def test_never_above_64_unless_asked(self, tmp_path):
        classes(tmp_path, size=(90, 70))
        assert data.folder(tmp_path).task.shape == (3, 64, 64)
        asked = data.folder(tmp_path, size=72)
        assert asked.task.shape == (3, 72, 72)
        assert "resized to 72 x 72, as asked" in asked.spec.notes[0]

    def test_shrinking_averages_instead_of_dropping_pixels(self, tmp_path):
        stripes = np.zeros((32, 32), np.uint8)
        stripes[::2] = 255
        for name in ("cat", "dog"):
            for i in range(3):
                (tmp_path / name).mkdir(exist_ok=True)
                Image.fromarray(stripes).save(tmp_path / name / f"{i}.png")
        problem = data.folder(tmp_path, size=8, validation=0)
        assert raw(problem).sub(0.5).abs().max() < 0.05

    @pytest.mark.parametrize("size", [0, -3])
    def test_a_size_below_one_is_refused(self, tmp_path, size):
        with pytest.raises(AttarError, match=f"size={size} is no side of an image"):
            data.folder(classes(tmp_path), size=size)


class TestModes:
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
    def test_grey_pictures_stay_grey(self, tmp_path, mode):
        colour = (60_000 if mode == "I;16" else 1) if mode in ("1", "I;16") else (100, 100, 100)
        for name in ("cat", "dog"):
            for i in range(4):
                paint(tmp_path / name / f"{i}.png", colour, mode=mode)
        problem = data.folder(tmp_path)
        assert problem.task.shape == (1, 10, 10)
        expected = {"1": 1.0, "L": 100 / 255, "LA": 100 / 255, "I;16": (60_000 >> 8) / 255}[mode]
        assert raw(problem)[0, 0, 0, 0] == pytest.approx(expected, abs=1e-5)

    def test_one_colour_picture_makes_all_rgb(self, tmp_path):
        classes(tmp_path, mode="L")
        paint(tmp_path / "dog" / "colour.png")
        assert data.folder(tmp_path).task.shape == (3, 10, 10)

    @pytest.mark.parametrize("kind", ["RGBA", "palette"])
    def test_transparent_pixels_are_white(self, tmp_path, kind):
        for name in ("cat", "dog"):
            for i in range(4):
                path = tmp_path / name / f"{i}.png"
                path.parent.mkdir(exist_ok=True)
                if kind == "RGBA":
                    Image.new("RGBA", (10, 10), (200, 0, 0, 0)).save(path)
                else:
                    Image.new("P", (10, 10), 0).save(path, transparency=0)
        assert torch.allclose(raw(data.folder(tmp_path)), torch.ones(1), atol=1e-5)

    @pytest.mark.parametrize(("mode", "ending"), [("P", "png"), ("CMYK", "jpg"), ("RGB", "bmp"), ("RGB", "webp")])
    def test_other_kinds_of_colour(self, tmp_path, mode, ending):
        for name in ("cat", "dog"):
            for i in range(4):
                paint(tmp_path / name / f"{i}.{ending}", (204, 51, 51), mode=mode)
        problem = data.folder(tmp_path)
        assert torch.allclose(raw(problem)[0, :, 5, 5], torch.tensor([0.8, 0.2, 0.2]), atol=0.03)

    def test_the_orientation_of_the_camera_is_applied(self, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 3  # turned by 180 degrees
        half = Image.new("RGB", (10, 10))
        half.paste((255, 255, 255), (0, 0, 10, 5))
        for name in ("cat", "dog"):
            (tmp_path / name).mkdir()
            for i in range(4):
                half.save(tmp_path / name / f"{i}.jpg", exif=exif, quality=95)
        x = raw(data.folder(tmp_path))
        assert x[0, 0, 1, 5] < 0.1
        assert x[0, 0, 8, 5] > 0.9


class TestRefusals:
    def test_a_corrupt_picture_is_named(self, tmp_path):
        classes(tmp_path, size=(64, 64))
        whole = (tmp_path / "cat" / "0.png").read_bytes()
        for name, content in {"cut.png": whole[: len(whole) // 2], "text.jpg": b"this is no picture"}.items():
            bad = tmp_path / "dog" / name
            bad.write_bytes(content)
            with pytest.raises(AttarError, match=rf"dog/{name} cannot be read as an image \(.*\): repair or remove it"):
                data.folder(tmp_path)
            bad.unlink()

    def test_a_corrupt_member_of_a_zip_is_named(self, tmp_path):
        classes(tmp_path / "photos")
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            for file in (tmp_path / "photos").rglob("*.png"):
                archive.write(file, file.relative_to(tmp_path / "photos"))
            archive.writestr("dog/bad.png", b"junk")
        with pytest.raises(AttarError, match=r"photos.zip/dog/bad.png cannot be read as an image \(no known format\)"):
            data.folder(tmp_path / "photos.zip")

    def test_floats_of_unknown_range(self, tmp_path):
        classes(tmp_path)
        Image.new("F", (10, 10), 0.5).save(tmp_path / "dog" / "f.tif")
        with pytest.raises(AttarError, match=r"f.tif holds 32-bit float pixels"):
            data.folder(tmp_path)

    def test_an_empty_class_folder(self, tmp_path):
        classes(tmp_path)
        (tmp_path / "emu").mkdir()
        with pytest.raises(AttarError, match=r"Class folder .*/emu holds no pictures .*add some, or remove the folder"):
            data.folder(tmp_path)

    def test_one_class_only(self, tmp_path):
        with pytest.raises(AttarError, match="one class only, 'cat'"):
            data.folder(classes(tmp_path, names=("cat",)))

    def test_an_empty_folder_and_one_without_class_folders(self, tmp_path):
        with pytest.raises(AttarError, match="holds no pictures"):
            data.folder(tmp_path)
        paint(tmp_path / "0.png")
        with pytest.raises(AttarError, match="holds pictures but no class folders"):
            data.folder(tmp_path)

    def test_test_without_train(self, tmp_path):
        classes(tmp_path / "test")
        classes(tmp_path / "images")
        with pytest.raises(AttarError, match="holds test/ but no train/"):
            data.folder(tmp_path)

    def test_a_class_that_only_the_test_folder_has(self, tmp_path):
        classes(tmp_path / "train")
        classes(tmp_path / "test", names=("cat", "cow"))
        with pytest.raises(AttarError, match="Class 'cow' is in the test split but not in train"):
            data.folder(tmp_path)

    def test_a_path_that_is_not_there_with_names_near_it(self, tmp_path):
        classes(tmp_path / "photos")
        with pytest.raises(AttarError, match=r"There is nothing at .*fotos: did you mean .*photos\?"):
            data.folder(tmp_path / "fotos")
        with pytest.raises(AttarError, match=r"check the spelling"):
            data.folder(tmp_path / "nowhere" / "x")

    def test_an_encrypted_member_of_a_zip_is_named(self, tmp_path):
        classes(tmp_path / "photos")
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            for path in sorted((tmp_path / "photos").glob("*/*.png")):
                archive.write(path, path.relative_to(tmp_path / "photos"))
        content = bytearray((tmp_path / "photos.zip").read_bytes())
        for head, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # each entry's own header, then the archive's list
            content[content.index(head) + flag] |= 1
        (tmp_path / "photos.zip").write_bytes(content)
        with pytest.raises(AttarError, match=r"photos.zip/cat/0.png cannot be read as an image \(.*encrypted"):
            data.folder(tmp_path / "photos.zip")

    def test_a_file_that_is_no_zip(self, tmp_path):
        (tmp_path / "a.zip").write_text("no zip")
        with pytest.raises(AttarError, match=r"a.zip is neither a folder nor a whole zip"):
            data.folder(tmp_path / "a.zip")

    def test_the_pickles_of_cifar(self, tmp_path):
        for name in ("batches.meta", "data_batch_1"):
            (tmp_path / name).write_bytes(b"\x80\x04.")
        with pytest.raises(AttarError, match=r"CIFAR's Python version.*use the binary version"):
            data.folder(tmp_path)
