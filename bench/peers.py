#!/usr/bin/env python3
"""Time CLIP ViT-B/32 on this machine's CPU in the engines that a user could run instead, beside pg_clip, in one run.

    peers.py MODEL_DIR [--threads N] [--rounds R] [--ours 'COMMAND'] [--record FILE]

MODEL_DIR is a CLIPModel directory in Hugging Face layout (`make bench` makes one with random weights).
Engines: PyTorch (f32, bf16), ONNX Runtime (f32, dynamic int8), OpenVINO (f32, bf16).
COMMAND is run once a round and prints one line a case: CASE PRECISION MILLISECONDS, as `pgclip bench` does. The engines take
turns, round by round, so that the ratios hold though the machine's speed drifts; the figure is the best of all rounds.
FILE is rewritten with the tables in Markdown, between its lines `<!-- engines -->` and `<!-- end -->`.
Needs: torch transformers onnx onnxscript onnxruntime openvino (pip).
"""
import argparse, json, os, subprocess, sys, time, warnings
from collections import defaultdict
from pathlib import Path

warnings.filterwarnings("ignore")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
ap = argparse.ArgumentParser()
ap.add_argument("model"); ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--rounds", type=int, default=3); ap.add_argument("--ours"); ap.add_argument("--record")
a = ap.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)

import numpy as np, torch, onnxruntime as ort, openvino as ov
from transformers import CLIPModel

torch.set_grad_enabled(False); torch.set_num_threads(a.threads)
CASES = {"image_b1": ("image", 1, 0), "image_b8": ("image", 8, 0), "image_b32": ("image", 32, 0),
         "text_b1_l10": ("text", 1, 10), "text_b1_l77": ("text", 1, 77), "text_b32_l10": ("text", 32, 10)}
rng = np.random.default_rng(0)


def inputs(kind, b, l, size, vocab):
    if kind == "image":
        return rng.standard_normal((b, 3, size, size)).astype("f4")
    ids = rng.integers(3, vocab - 3, (b, l)); ids[:, 0] = vocab - 2; ids[:, -1] = vocab - 1
    return ids


def export(model, cache):
    """Write image.onnx and text.onnx (f32) and their dynamically quantised int8 twins into `cache`."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    class Tower(torch.nn.Module):
        def __init__(self, kind): super().__init__(); self.m, self.kind = model, kind
        def forward(self, x):
            if self.kind == "image":
                y = self.m.visual_projection(self.m.vision_model(pixel_values=x).pooler_output)
            else:
                y = self.m.text_projection(self.m.text_model(input_ids=x).pooler_output)
            return y / y.norm(dim=-1, keepdim=True)

    size, vocab = model.config.vision_config.image_size, model.config.text_config.vocab_size
    for kind, l in (("image", 0), ("text", 10)):
        f = cache / f"{kind}.onnx"
        if f.exists(): continue
        x = torch.from_numpy(inputs(kind, 2, l, size, vocab))
        axes = {"x": {0: "b"} if kind == "image" else {0: "b", 1: "l"}, "y": {0: "b"}}
        torch.onnx.export(Tower(kind), (x,), str(f), input_names=["x"], output_names=["y"], dynamic_axes=axes,
                          opset_version=17, dynamo=False)
        quantize_dynamic(str(f), str(cache / f"{kind}.int8.onnx"), weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])


def engines(model, cache):
    """(engine, precision, kind) -> callable on a numpy batch. Built one at a time to keep memory low."""
    for prec, dt in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        m = model.to(dt)
        yield "pytorch", prec, {"image": lambda x: m.get_image_features(pixel_values=torch.from_numpy(x).to(dt)),
                                "text": lambda x: m.get_text_features(input_ids=torch.from_numpy(x))}
    for prec, sfx in (("f32", ""), ("int8", ".int8")):
        so = ort.SessionOptions(); so.intra_op_num_threads = a.threads
        s = {k: ort.InferenceSession(str(cache / f"{k}{sfx}.onnx"), so) for k in ("image", "text")}
        yield "onnxruntime", prec, {k: (lambda x, k=k: s[k].run(None, {"x": x})) for k in s}
    core = ov.Core()
    for prec in ("f32", "bf16"):
        cfg = {"INFERENCE_PRECISION_HINT": prec, "INFERENCE_NUM_THREADS": a.threads, "PERFORMANCE_HINT": "LATENCY"}
        c = {k: core.compile_model(str(cache / f"{k}.onnx"), "CPU", cfg) for k in ("image", "text")}
        yield "openvino", prec, {k: (lambda x, k=k: c[k]({"x": x})) for k in c}


def best_ms(f, x):
    f(x); best, spent, n = 1e9, 0.0, 0
    while n < 3 or (spent < 0.4 and n < 20):
        t = time.perf_counter(); f(x); dt = time.perf_counter() - t
        best, spent, n = min(best, dt), spent + dt, n + 1
    return best * 1e3


cache = Path(a.model) / ".onnx-cache"; cache.mkdir(exist_ok=True)
model = CLIPModel.from_pretrained(a.model, attn_implementation="eager").eval()
export(model, cache)
size, vocab = model.config.vision_config.image_size, model.config.text_config.vocab_size
model = CLIPModel.from_pretrained(a.model).eval()          # PyTorch itself runs with its fast attention
data = {c: inputs(k, b, l, size, vocab) for c, (k, b, l) in CASES.items()}
best = defaultdict(lambda: 1e9)
for r in range(a.rounds):
    if a.ours:
        for line in subprocess.run(a.ours, shell=True, check=True, capture_output=True, text=True).stdout.splitlines():
            w = line.split()
            if len(w) == 3 and w[0] in CASES:
                best["ours", w[1], w[0]] = min(best["ours", w[1], w[0]], float(w[2]))
    for name, prec, f in engines(model, cache):
        for c, (kind, b, l) in CASES.items():
            best[name, prec, c] = min(best[name, prec, c], best_ms(f[kind], data[c]))

def table(head, lines):
    """Markdown."""
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines])


def cell(value):
    return "" if value is None else f"{value:.2f}"


def cpu():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"): name = line.split(":")[1].strip()
        if line.startswith("flags"):
            found = [f for f in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if f in line.split()]
            return f"{name} ({', '.join(found)})"


def versions():
    from importlib.metadata import version
    return ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "onnxruntime", "openvino"))


names = {"ours": "pg_clip", "pytorch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
order = {"f32": 0, "bf16": 1, "int8": 2}
engines_seen = sorted({k[:2] for k in best}, key=lambda k: (order[k[1]], k[0] != "ours", k[0]))
times = [[names[e], p] + [cell(best[e, p, c] / CASES[c][1] if (e, p, c) in best else None) for c in CASES] for e, p in engines_seen]
ratios = []
for p in order:
    for label, peer in (("the same", lambda k: k[1] == p), ("any", lambda k: True)):
        line = []
        for c in CASES:
            others = [v for k, v in best.items() if k[2] == c and k[0] != "ours" and peer(k)]
            line.append(cell(best["ours", p, c] / min(others) if ("ours", p, c) in best and others else None))
        if any(line): ratios.append([p, label] + line)
text = f"""{time.strftime("%Y-%m-%d")}, {cpu()}, {a.threads} threads, best of {a.rounds} rounds. {versions()}, Python {sys.version.split()[0]}.
Command: `{' '.join(["bench/peers.py", "MODEL"] + sys.argv[2:])}`.

Milliseconds per item:

{table(["engine", "precision", *CASES], times)}

pg_clip divided by the best other engine, below 1 it is faster:

{table(["precision", "other engine's precision", *CASES], ratios)}
"""
print(text)
if a.record:
    before, rest = open(a.record).read().split("<!-- engines -->\n", 1)
    after = rest.split("<!-- end -->", 1)[1]
    open(a.record, "w").write(f"{before}<!-- engines -->\n{text}<!-- end -->{after}")
