#!/usr/bin/env python3
"""Give a model directory massive channels, as trained transformers have them, to try a number format on.

    massive.py FROM TO      directories in Hugging Face's layout, with model.safetensors; TO must not exist

From the second layer of both towers on, three channels of every token are 150, -90 and 75, and move with the token: 40 to
85 standard deviations of the others. The gains of norms hold them down, as if they had learnt to. An assumption after what
is published of massive activations (arXiv 2402.17762).
Needs: torch, safetensors (pip).
"""
import shutil, sys
from pathlib import Path

from safetensors.torch import load_file, save_file

CHANNELS = {0.11: (150.0, 0.15), 0.47: (-90.0, 0.3), 0.83: (75.0, 0.4)}     # place in the row: value, gain of norms


def massive(tensors, tower):
    first, rest = f"{tower}.encoder.layers.0.", f"{tower}.encoder.layers."
    for name, tensor in tensors.items():
        if not name.startswith(tower):
            continue
        for place, (value, gain) in CHANNELS.items():
            channel = int(place * tensor.shape[0])
            if name == first + "mlp.fc2.bias":
                tensor[channel] += value
            elif name == first + "mlp.fc2.weight":
                tensor[channel] *= 8
            elif tensor.dim() == 1 and "norm" in name and name.endswith("weight"):
                after = name.startswith(rest) and not name.startswith(first) or "final" in name or "post" in name
                if after:
                    tensor[channel] = gain


def main():
    source, to = map(Path, sys.argv[1:])
    shutil.copytree(source, to, ignore=shutil.ignore_patterns("*.safetensors"))
    tensors = load_file(source / "model.safetensors")
    for tower in ("text_model", "vision_model"):
        massive(tensors, tower)
    save_file(tensors, to / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main()
