#!/usr/bin/env python3
"""One engine on one CLIP, timed as `pgclip bench` times pg_clip: a line a case, `CASE PRECISION MILLISECONDS`, for the whole batch.

    engines.py export MODEL_DIR                                     writes the ONNX files, once, into MODEL_DIR/.onnx
    engines.py [--threads N] ENGINE PRECISION MODEL_DIR CASE...     as image_b8 or text_b32_l10

Each run is a process of its own, so that an engine's memory is free before the next one starts. MODEL_DIR is a CLIPModel in Hugging
Face layout. Needs, as far as they are asked for: torch transformers onnx onnxscript onnxruntime openvino faster-clip (pip).

faster-clip knows the shape of ViT-B/32 alone, and has another text tower than CLIP's. It takes encoded images: BMPs of 224 x 224,
which cost next to nothing to decode.
"""
import argparse
import io
import json
import os
import re
import shutil
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
# What each engine computes in. PyTorch's and OpenVINO's int8 need a calibration on images, so they are left out.
PRECISIONS = {"pytorch": ("f32", "bf16"), "onnxruntime": ("f32", "int8"), "openvino": ("f32", "bf16"), "faster-clip": ("int8",)}
PACKAGES = {"pytorch": ("torch", "transformers"), "onnxruntime": ("onnxruntime",), "openvino": ("openvino",),
            "faster-clip": ("faster-clip",)}
# An ONNX file holds 2 GB at most. Larger weights lie beside it.
LARGEST_FILE, WEIGHTS = 1_900_000_000, "weights"


def sizes(directory):
    """Side of an image, number of token ids."""
    config = json.loads(Path(directory, "config.json").read_text())
    return config["vision_config"].get("image_size", 224), config["text_config"].get("vocab_size", 49408)


def fits_faster_clip(directory):
    vision = json.loads(Path(directory, "config.json").read_text())["vision_config"]
    shape = [vision.get(key) for key in ("hidden_size", "num_hidden_layers", "patch_size", "image_size")]
    return shape == [768, 12, 32, 224] and vision.get("hidden_act") == "quick_gelu"


def batch(case, directory):
    """('image' or 'text', a numpy array)"""
    size, vocab = sizes(directory)
    random = np.random.default_rng(0)
    found = re.fullmatch(r"image_b(\d+)|text_b(\d+)_l(\d+)", case)
    if not found:
        raise SystemExit(f"unknown case {case}: expected such as image_b8 or text_b32_l10")
    if found[1]:
        return "image", random.standard_normal((int(found[1]), 3, size, size)).astype("f4")
    ids = random.integers(3, vocab - 3, (int(found[2]), int(found[3])))
    ids[:, 0], ids[:, -1] = vocab - 2, vocab - 1
    return "text", ids


def onnx_file(directory, kind, precision):
    return Path(directory, ".onnx", f"{kind}-{precision}", "model.onnx")


def export(directory):
    """f32, and its dynamically quantised twin in int8, of each tower."""
    import torch
    from transformers import CLIPModel

    class Tower(torch.nn.Module):
        def __init__(self, model, kind):
            super().__init__()
            self.tower, self.projection = (model.vision_model, model.visual_projection) if kind == "image" else (
                model.text_model, model.text_projection)

        def forward(self, x):
            y = self.projection(self.tower(x).pooler_output)
            return y / y.norm(dim=-1, keepdim=True)

    model = None
    for kind, case in (("image", "image_b2"), ("text", "text_b2_l10")):
        file = onnx_file(directory, kind, "f32")
        if not file.exists():
            model = model or CLIPModel.from_pretrained(directory, attn_implementation="eager").eval()
            axes = {"x": {0: "b"} if kind == "image" else {0: "b", 1: "l"}, "y": {0: "b"}}
            save(traced(Tower(model, kind), batch(case, directory)[1], axes, directory), file)
    del model
    for kind in ("image", "text"):
        quantise(onnx_file(directory, kind, "f32"), onnx_file(directory, kind, "int8"))


def traced(tower, x, axes, directory):
    """As onnx has it in memory: the exporter writes a large model's tensors one by one."""
    import onnx
    import torch

    with tempfile.TemporaryDirectory(dir=directory) as work, torch.no_grad():
        file = str(Path(work, "model.onnx"))
        torch.onnx.export(tower, (torch.from_numpy(x),), file, input_names=["x"], output_names=["y"], dynamic_axes=axes,
                          opset_version=17, dynamo=False)
        return onnx.load(file)


def save(model, file):
    """What is cut off leaves no file behind."""
    import onnx

    large = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST_FILE
    part = unfinished(file)
    onnx.save_model(model, str(part / file.name), save_as_external_data=large, location=WEIGHTS)
    part.rename(file.parent)


def unfinished(file):
    part = file.parent.with_name(f"{file.parent.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def quantise(source, file):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    if file.exists():
        return
    part = unfinished(file)
    quantize_dynamic(str(source), str(part / file.name), weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"],
                     use_external_data_format=(source.parent / WEIGHTS).exists())
    part.rename(file.parent)


def pytorch(directory, precision, threads, kinds):
    import torch
    from transformers import CLIPModel

    torch.set_grad_enabled(False)
    torch.set_num_threads(threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[precision]
    model = CLIPModel.from_pretrained(directory, dtype=dtype).eval()
    return {"image": lambda x: model.get_image_features(pixel_values=torch.from_numpy(x).to(dtype)),
            "text": lambda x: model.get_text_features(input_ids=torch.from_numpy(x))}


def onnxruntime(directory, precision, threads, kinds):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    sessions = {kind: ort.InferenceSession(str(onnx_file(directory, kind, precision)), options) for kind in kinds}
    return {kind: lambda x, session=session: session.run(None, {"x": x}) for kind, session in sessions.items()}


def openvino(directory, precision, threads, kinds):
    import openvino as ov

    config = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    core = ov.Core()
    models = {kind: core.compile_model(str(onnx_file(directory, kind, "f32")), "CPU", config) for kind in kinds}
    return {kind: lambda x, model=model: model({"x": x}) for kind, model in models.items()}


def faster_clip(directory, precision, threads, kinds):
    """It looks for its weights in its cache before it asks its hub."""
    if not fits_faster_clip(directory):
        raise SystemExit("faster-clip knows the shape of ViT-B/32 alone")
    from PIL import Image

    os.environ["RAYON_NUM_THREADS"] = str(threads)
    cache = tempfile.TemporaryDirectory()
    os.environ["FASTER_CLIP_CACHE"] = cache.name
    weights = Path(cache.name, "sentence-transformers__clip-ViT-B-32", "0_CLIPModel", "model.safetensors")
    weights.parent.mkdir(parents=True)
    weights.symlink_to(Path(directory, "model.safetensors").resolve())
    from faster_clip import ClipModel

    model, encoded = ClipModel(), {}

    def images(x):
        if len(x) not in encoded:
            levels = (np.clip(x, -2, 2) * 60 + 128).astype(np.uint8).transpose(0, 2, 3, 1)
            files = [io.BytesIO() for _ in levels]
            for file, picture in zip(files, levels, strict=True):
                Image.fromarray(picture).save(file, "BMP")
            encoded[len(x)] = [file.getvalue() for file in files]
        model.encode_image(encoded[len(x)])
        return cache  # which has to live as long as this function

    return {"image": images}


def best_ms(run, x):
    """After a first run the best of at least three, as `pgclip bench`."""
    run(x)
    best, spent, runs = float("inf"), 0.0, 0
    while runs < 3 or (spent < 0.4 and runs < 20):
        start = time.perf_counter()
        run(x)
        taken = time.perf_counter() - start
        best, spent, runs = min(best, taken), spent + taken, runs + 1
    return best * 1e3


ENGINES = {"pytorch": pytorch, "onnxruntime": onnxruntime, "openvino": openvino, "faster-clip": faster_clip}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=["export", *ENGINES])
    parser.add_argument("rest", nargs="+")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    a = parser.parse_args()
    if a.engine == "export":
        export(a.rest[0])
        return
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    precision, directory, *cases = a.rest
    batches = {case: batch(case, directory) for case in cases}
    runs = ENGINES[a.engine](directory, precision, a.threads, {kind for kind, _ in batches.values()})
    for case, (kind, x) in batches.items():
        if kind in runs:
            print(f"{case} {precision} {best_ms(runs[kind], x):.4f}", flush=True)


if __name__ == "__main__":
    main()
