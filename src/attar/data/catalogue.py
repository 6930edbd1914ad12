"""The published datasets that `attar.data.load` knows by name: a table, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from attar.types import Normalisation

__all__ = ["DATASETS", "Dataset", "Hub", "Layout", "catalogue"]


@dataclass(frozen=True)
class Layout:
    """One form in which a dataset lies on disk.

    Args:
        kind: the format: "idx" (each file plain or with .gz), "cifar" (the binary version), "mat", "npz", or "zip" of
            pictures.
        train: the files of the train split (idx: images, labels), or the one file of all splits.
        test: the files of the test split.
        label_bytes: for "cifar": 1, or 2 for CIFAR-100.
    """

    kind: Literal["idx", "cifar", "mat", "npz", "zip"]
    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    label_bytes: int = 1


@dataclass(frozen=True)
class Hub:
    """Where Hugging Face `datasets` has it.

    Args:
        repository: "owner/name", or a local folder that `datasets` reads.
        config: the configuration, where there are several.
        image: the column of the images.
        label: the column of the labels.
        file: an npz in the repository that is taken as it is, where the rows are in no table.
    """

    repository: str
    config: str | None = None
    image: str = "image"
    label: str = "label"
    file: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A published dataset.

    Args:
        name: what `load` calls it.
        title: what its authors call it.
        licence: terms.
        class_names: one name a class id.
        shape: ``(c, h, w)``.
        rows: official number of rows by split: train, validation, test; 0 for a split that it does not have.
        layouts: published forms on disk, in the order in which they are looked for (after NAME.npz).
        folders: subfolders in which it usually lies, beside one of its own name.
        pickled: folder of a form that is refused, because it is pickles.
        hub: where it is fetched from; None for what lies in the package.
        normalisation: the field's published one, where there is one; else that of the training rows is used.
        augmentation: the DSA strategy of the field; without flips for digits.
        full_epochs: epochs on full data, where stated.
        reference: the paper to cite.
        painted_from: the dataset that this one is made from, by painting its digits (see `attar.data.coloured`).
    """

    name: str
    title: str
    licence: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    rows: tuple[int, int, int]
    layouts: tuple[Layout, ...]
    reference: str
    folders: tuple[str, ...] = ()
    pickled: str | None = None
    hub: Hub | None = None
    normalisation: Normalisation | None = None
    augmentation: str = "color_crop_cutout_flip_scale_rotate"
    full_epochs: int | None = None
    painted_from: Dataset | None = None

    @property
    def cached(self) -> Layout:
        """The form that fetched data are kept in."""
        return Layout("npz", (f"{self.name}.npz",))


def catalogue() -> tuple[Dataset, ...]:
    """The datasets that `attar.data.load` knows, small ones first."""
    return tuple(DATASETS.values())


_NO_FLIP = "color_crop_cutout_scale_rotate"
_DIGITS = tuple("0123456789")
_IDX = Layout(
    "idx",
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# fmt: off
_CIFAR100 = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
)
# fmt: on

_ALL = (
    Dataset(
        name="digits",
        title="Optical recognition of handwritten digits",
        licence="CC BY 4.0",
        class_names=_DIGITS,
        shape=(1, 8, 8),
        rows=(1797, 0, 0),
        layouts=(Layout("npz", ("digits.npz",)),),
        reference="Alpaydin and Kaynak, Cascading classifiers, Kybernetika 1998",
        augmentation=_NO_FLIP,
    ),
    Dataset(
        name="pneumonia",
        title="PneumoniaMNIST (MedMNIST v2)",
        licence="CC BY 4.0",
        class_names=("normal", "pneumonia"),
        shape=(1, 28, 28),
        rows=(4708, 524, 624),
        layouts=(Layout("npz", ("pneumoniamnist.npz",)),),
        reference="Yang et al., MedMNIST v2, Scientific Data 2023; Kermany et al., Cell 2018",
        folders=("pneumoniamnist", "medmnist"),
        hub=Hub("albertvillanova/medmnist-v2", file="data/pneumoniamnist.npz"),
    ),
    Dataset(
        name="mnist",
        title="MNIST",
        licence="CC BY-SA 3.0",
        class_names=_DIGITS,
        shape=(1, 28, 28),
        rows=(60_000, 0, 10_000),
        layouts=(_IDX,),
        reference="LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998",
        folders=("MNIST/raw",),
        hub=Hub("ylecun/mnist"),
        normalisation=Normalisation((0.1307,), (0.3081,)),
        augmentation=_NO_FLIP,
        full_epochs=10,
    ),
    Dataset(
        name="fashion-mnist",
        title="Fashion-MNIST",
        licence="MIT",
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        shape=(1, 28, 28),
        rows=(60_000, 0, 10_000),
        layouts=(_IDX,),
        reference="Xiao et al., Fashion-MNIST, arXiv 1708.07747, 2017",
        folders=("FashionMNIST/raw", "fashion_mnist"),
        hub=Hub("zalando-datasets/fashion_mnist"),
        normalisation=Normalisation((0.2861,), (0.3530,)),
    ),
    Dataset(
        name="cifar10",
        title="CIFAR-10",
        licence="none stated; cite Krizhevsky 2009",
        class_names=_CIFAR10,
        shape=(3, 32, 32),
        rows=(50_000, 0, 10_000),
        layouts=(
            Layout("cifar", tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",)),
            Layout("zip", ("cifar10_jpg.zip",)),
        ),
        reference="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        folders=("cifar-10-batches-bin", "cifar10_jpg"),
        pickled="cifar-10-batches-py",
        hub=Hub("uoft-cs/cifar10", image="img"),
        normalisation=Normalisation((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        full_epochs=30,
    ),
    Dataset(
        name="cifar100",
        title="CIFAR-100 (fine labels)",
        licence="none stated; cite Krizhevsky 2009",
        class_names=_CIFAR100,
        shape=(3, 32, 32),
        rows=(50_000, 0, 10_000),
        layouts=(Layout("cifar", ("train.bin",), ("test.bin",), label_bytes=2),),
        reference="Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        folders=("cifar-100-binary",),
        pickled="cifar-100-python",
        hub=Hub("uoft-cs/cifar100", image="img", label="fine_label"),
    ),
    Dataset(
        name="svhn",
        title="Street View House Numbers (cropped digits)",
        licence="non-commercial use only; cite Netzer et al. 2011",
        class_names=_DIGITS,
        shape=(3, 32, 32),
        rows=(73_257, 0, 26_032),
        layouts=(Layout("mat", ("train_32x32.mat",), ("test_32x32.mat",)),),
        reference="Netzer et al., Reading digits in natural images with unsupervised feature learning, 2011",
        hub=Hub("ufldl-stanford/svhn", config="cropped_digits"),
        augmentation=_NO_FLIP,
    ),
)


def _coloured(grey: Dataset) -> Dataset:
    """The digits of a dataset in colours that go with their labels."""
    return replace(
        grey,
        name=f"coloured-{grey.name}",
        title=f"{grey.title}, coloured",
        shape=(3, *grey.shape[1:]),
        reference=f"{grey.reference}; colours as a bias as in Bahng et al., Learning de-biased representations with biased "
        "representations, ICML 2020",
        normalisation=None,
        painted_from=grey,
    )


_BY_NAME = {dataset.name: dataset for dataset in _ALL}
DATASETS = {**_BY_NAME, **{each.name: each for each in map(_coloured, (_BY_NAME["digits"], _BY_NAME["mnist"]))}}
"""By name."""
