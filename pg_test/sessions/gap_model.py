"""A tiny CLIP whose texts and images lie in two cones, as those of every real one do. Standard library only.

It is the engine's fixture tiny-openclip with two biases changed: those of the norms before the projections. What is added
there is a vector that the projection adds to every text, and one, at a right angle to it, to every image. A few channels of
both are far above the others, as in real CLIPs. The weights stay random: a text's nearest images mean nothing.
"""
import contextlib
import json
import os
import random
import shutil
import struct
import subprocess
import tempfile

from pg import GOLDEN, pgclip

SOURCE = os.path.join(GOLDEN, "models", "tiny-openclip")
TEXT = ("text_model.final_layer_norm.bias", "text_projection.weight")
IMAGE = ("vision_model.post_layernorm.bias", "visual_projection.weight")
LENGTHS = {TEXT: 10.0, IMAGE: 7.0}  # of what is added, after the projection
NEARER = 0.1                        # than a right angle: the share of the second along the first


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Weights:
    """A safetensors file of f32 tensors, in memory."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = bytearray(file.read())
        size, = struct.unpack_from("<Q", self.data)
        self.header, self.begin = json.loads(self.data[8:8 + size]), 8 + size

    def _place(self, name):
        tensor = self.header[name]
        assert tensor["dtype"] == "F32", tensor
        begin, end = tensor["data_offsets"]
        return self.begin + begin, (end - begin) // 4, tensor["shape"]

    def vector(self, name):
        at, count, _ = self._place(name)
        return list(struct.unpack_from(f"<{count}f", self.data, at))

    def rows(self, name):
        values, width = self.vector(name), self._place(name)[2][1]
        return [values[i:i + width] for i in range(0, len(values), width)]

    def set(self, name, values):
        at, count, _ = self._place(name)
        assert count == len(values)
        struct.pack_into(f"<{count}f", self.data, at, *values)


def write(directory):
    """A model directory as from a hub."""
    shutil.copytree(SOURCE, directory, dirs_exist_ok=True)
    weights, numbers = Weights(os.path.join(SOURCE, "model.safetensors")), random.Random(7)
    taken = None
    for part in (TEXT, IMAGE):
        bias, projection = part
        rows = weights.rows(projection)
        added = [numbers.gauss(0, 1) for _ in rows[0]]
        for channel in numbers.sample(range(len(added)), 2):
            added[channel] *= 6
        if taken:   # nothing along `taken` after the projection, but for a little
            along = [dot(taken, column) for column in zip(*rows)]
            share = dot(added, along) / dot(along, along) - NEARER * (dot(added, added) / dot(along, along)) ** 0.5
            added = [x - share * y for x, y in zip(added, along)]
        moved = [dot(row, added) for row in rows]
        scale = LENGTHS[part] / dot(moved, moved) ** 0.5
        weights.set(bias, [x + scale * y for x, y in zip(weights.vector(bias), added)])
        taken = moved
    with open(os.path.join(directory, "model.safetensors"), "wb") as file:
        file.write(weights.data)


@contextlib.contextmanager
def installed(name="tiny-gap"):
    """A directory of models that the server can read, with this one; removed at the end."""
    models = tempfile.mkdtemp(prefix="pg_clip_models_")
    try:
        os.chmod(models, 0o755)
        source = os.path.join(models, "source")
        write(source)
        subprocess.run([pgclip(), "import", source, "--name", name, "--model-dir", models], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(source)
        yield models
    finally:
        shutil.rmtree(models)
