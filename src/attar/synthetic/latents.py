"""Latents: rows are what a fixed generator makes of latent vectors, and only these are learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from attar.synthetic.generator import generated, inverted, largest_width, trained_generator
from attar.synthetic.images import check_images, check_start, decoded
from attar.synthetic.pace import stretch
from attar.synthetic.room import Room
from attar.synthetic.synthetic import LabelForm
from attar.types import AttarError, Batch, Budget, Problem

__all__ = ["Latents"]


@dataclass(frozen=True)
class Latents:
    """``x = G(z / scale)``: latent vectors z of a generator G that stays as it is.

    Without a generator of one's own, attar trains one on the training rows first, as the decoder of an autoencoder
    (see `attar.synthetic.generator`), and its weights are part of what is stored. The scale is found at the start: it makes
    a step on the latents move the rows as far as the same step on the rows would.

    Args:
        rows: latents for each row of the budget, each with a label.
        dim: numbers in a latent.
        width: channels of the generator that attar trains; None for as many, up to 32, as with latents and labels take no more
            bytes than the budget's rows with theirs would.
        fit: steps of Adam that train it, or that look for latents of a generator of one's own.
        generator: maps latents ``(n, dim)`` to rows ``(n, ...)`` in normalised units; it is not stored, so that the rows are
            what a set of it costs, and a run with it is resumed by `attar.resume(path, method=...)`.

    Reference:
        Zhao, Bilen: Synthesizing Informative Training Samples with GAN, 2022 (IT-GAN), where the generator is a frozen,
        pre-trained GAN.
    """

    rows: int = 4
    dim: int = 16
    width: int | None = None
    fit: int = 300
    generator: nn.Module | None = None

    decodes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if min(self.rows, self.dim, 1 if self.width is None else self.width) < 1 or self.fit < 0:
            raise AttarError(
                f"Latents(rows={self.rows}, dim={self.dim}, width={self.width}, fit={self.fit}) makes no rows: give 1 or more "
                "of each."
            )
        if self.generator is not None and not isinstance(self.generator, torch.nn.Module):
            raise AttarError(
                f"The generator of Latents is a torch module that makes images of latents, and not {self.generator!r}: give one, "
                "or leave it out and attar trains its own."
            )
        if self.generator is not None and self.generator.training:
            raise AttarError(
                "The generator of Latents is in training mode: call generator.eval(), as it stays as it is."
            )

    @property
    def each(self) -> int:
        return self.rows

    def check(self, problem: Problem, budget: Budget, labels: LabelForm = "hard") -> None:
        if self.generator is None:
            self._width(check_images(self, problem), Room.of(problem, budget, labels, self.rows))
            return
        try:
            with torch.no_grad():
                shape = tuple(_made(self.generator, torch.zeros(1, self.dim).to(problem.train.x)).shape)
        except RuntimeError as error:
            raise AttarError(
                f"The generator of Latents does not take latents of dim={self.dim} numbers ({str(error).splitlines()[0]}): give as "
                "many as it is made for."
            ) from error
        if shape != (1, *problem.train.x.shape[1:]):
            raise AttarError(
                f"The generator of Latents makes of (1, {self.dim}) a row of shape {shape}, and rows of {problem.spec.name} "
                f"are {tuple(problem.train.x.shape[1:])}: give one that makes such rows in normalised units."
            )

    def _width(self, shape: tuple[int, int, int], room: Room) -> int:
        if self.width is not None:
            return self.width
        latents = room.rows * self.rows * self.dim
        found = largest_width(self.dim, shape, room.numbers - latents - 1)  # and the scale
        if found is None:
            image = shape[0] * shape[1] * shape[2]
            advice = (
                "a larger budget"
                if self.rows * self.dim < image
                else f"rows times dim below the {image} numbers of an image"
            )
            raise AttarError(
                f"{room.rows * self.rows} latents of {self.dim} numbers leave no room for a generator in the bytes of "
                f"{room.rows} images: give {advice}, fewer or smaller latents, or width=."
            )
        return found

    def build(self, batch: Batch, problem: Problem, generator: torch.Generator) -> GeneratedRows:
        check_start(self, batch)
        if self.generator is None:
            width = self._width(check_images(self, problem), Room.at(batch, self.rows))
            weights, latents = trained_generator(problem.train.x, batch.x, self.dim, width, self.fit, generator)
        else:
            own = self.generator
            weights, latents = {}, inverted(lambda z: _made(own, z), batch.x, self.dim, self.fit, generator)
        tensors = {"latents": latents, "scale": torch.ones_like(latents[0, 0]), **weights}
        rows = self.restore(tensors, batch)
        scale = stretch(rows(None).x, rows.latents, generator).sqrt()
        return self.restore({**tensors, "latents": scale * latents, "scale": scale}, batch)

    def restore(self, tensors: Mapping[str, Tensor], like: Batch) -> GeneratedRows:
        return GeneratedRows(tensors, like, self.generator)


class GeneratedRows(nn.Module):
    """Holds ``latents`` of shape ``(n, dim)``, their ``scale`` ``()`` and the weights of a generator that attar trained."""

    scale: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], like: Batch, own: nn.Module | None) -> None:
        super().__init__()
        for name, value in tensors.items():
            if name != "latents":
                self.register_buffer(name, value.detach().clone())
        self.latents = nn.Parameter(tensors["latents"].detach().clone())
        self._like = like.detach()
        self._own = (own,)  # in a tuple, so that its weights are none of this module's

    def forward(self, y: Tensor | None) -> Batch:
        [own], inputs = self._own, self.latents / self.scale
        if own is None:
            return decoded(self._like, generated(dict(self.named_buffers()), inputs, self._like.x.shape[1:]), y)
        return decoded(self._like, _made(own, inputs), y)

    def __len__(self) -> int:
        return len(self.latents)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"data": [self.latents]}


def _made(own: nn.Module, latents: Tensor) -> Tensor:
    """What a generator makes, its weights left as they are and brought to where the latents are."""
    weights = {**dict(own.named_parameters()), **dict(own.named_buffers())}
    return functional_call(
        own, {name: value.detach().to(latents.device) for name, value in weights.items()}, (latents,)
    )
