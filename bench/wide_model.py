#!/usr/bin/env python3
"""A CLIP of any number of dimensions, tiny and with random weights, for benchmarks of what is done with its vectors.

    wide_model.py DIMENSIONS DIRECTORY    writes a directory for `pgclip import`

It is the goldens' tiny CLIP with other projections. Standard library only.
"""
import array
import json
import pathlib
import random
import shutil
import struct
import sys

SOURCE = pathlib.Path(__file__).parent.parent / "crates/clip-core/tests/golden/models/tiny-clip"


def main(dimensions, directory):
    shutil.copytree(SOURCE, directory)
    config = json.loads((directory / "config.json").read_text())
    for part in (config, config["text_config"], config["vision_config"]):
        part["projection_dim"] = dimensions
    (directory / "config.json").write_text(json.dumps(config))
    data = (directory / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors, body = json.loads(data[8:8 + length]), data[8 + length:]
    rng, offset, parts = random.Random(20261130), 0, []
    for name, tensor in tensors.items():
        if name == "__metadata__":
            continue
        begin, end = tensor["data_offsets"]
        values = body[begin:end]
        if name in ("text_projection.weight", "visual_projection.weight"):
            tensor["shape"][0] = dimensions
            values = array.array("f", (rng.gauss(0, 0.1) for _ in range(dimensions * tensor["shape"][1]))).tobytes()
        tensor["data_offsets"] = [offset, offset + len(values)]
        offset += len(values)
        parts.append(values)
    header = json.dumps(tensors).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"".join(parts))


if __name__ == "__main__":
    main(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
