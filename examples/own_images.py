"""Distil a folder of your own pictures, a folder a class. Here the pictures are drawn first: rings, bars and crosses.

Run: python examples/own_images.py [FOLDER]

The distilled pictures are left in FOLDER/small, as PNGs in a folder a class. Without FOLDER a temporary one is made.
"""

import random
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

import attar


def draw(kind: str, source: random.Random) -> Image.Image:
    """A shape of some size and place, in some colour, on a dark ground."""
    picture = Image.new("RGB", (40, 30), "#202020")
    pen, half = ImageDraw.Draw(picture), source.randint(6, 10)
    x, y = source.randint(half, 40 - half), source.randint(half, 30 - half)
    colour = tuple(source.randint(120, 255) for _ in range(3))
    if kind == "ring":
        pen.ellipse((x - half, y - half, x + half, y + half), outline=colour, width=3)
    if kind in ("bar", "cross"):
        pen.line((x - half, y, x + half, y), fill=colour, width=3)
    if kind == "cross":
        pen.line((x, y - half, x, y + half), fill=colour, width=3)
    return picture


folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
source = random.Random(0)
for kind in ("ring", "bar", "cross"):
    (folder / "photos" / kind).mkdir(parents=True, exist_ok=True)
    for number in range(60):
        draw(kind, source).save(folder / "photos" / kind / f"{number:03d}.png")

problem = attar.data.folder(folder / "photos", size=16)  # resized; a fifth of each class is set aside for testing
print(problem.spec.class_names, problem.spec.split)

method = attar.methods.dm(model="convnet3-32", batch=32)
value = attar.distill(method, problem, attar.Budget(per_class=5), steps=100, seed=0).value
value.save(folder / "distilled")  # data.safetensors, card.json, README.md, preview.png
value.to_folder(folder / "small")
print(value.summary())
print(attar.evaluate(value, problem, protocol=attar.Protocol.quick, runs=1).table())
print("pictures:", folder / "small")
