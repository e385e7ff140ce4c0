#!/usr/bin/env python3
"""Time a CLIP on this machine's processor in the engines that a user could run instead, beside pg_clip, in one run.

    peers.py MODEL_DIR --pgclip FILE --model-dir DIR [--cases CASE,...] [--precisions f32,bf16,int8] [--engines NAME,...]
             [--candle FILE] [--threads N] [--rounds R] [--record FILE]

MODEL_DIR is a CLIPModel in Hugging Face layout, of any size; pg_clip has it under the directory's name in the models of DIR.
bench/run.sh makes one with random weights, imports it and calls this. Engines: pg_clip, PyTorch (f32, bf16), ONNX Runtime (f32,
dynamic int8), OpenVINO (f32, bf16), faster-clip (int8, images of ViT-B/32 alone) if it is installed, and candle (f32, quick_gelu
alone) if FILE is bench/candle's program.

The engines take turns, round by round, so that the ratios hold though the machine's speed drifts; the figure is the best of all rounds.
--record replaces this model's and this machine's tables in FILE, and leaves those of others. bench/engines.py says what is needed.
"""
import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import engines
from tables import cpu, record, table, today, versions

CASES = ("image_b1", "image_b8", "image_b32", "text_b1_l10", "text_b1_l77", "text_b32_l10")
PRECISIONS = ("f32", "bf16", "int8")
NAMES = {"pg_clip": "pg_clip", "pytorch": "PyTorch", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "candle": "candle",
         "faster-clip": "faster-clip ¹"}
OURS = "pg_clip"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words = {"type": lambda value: value.split(",")}
    parser.add_argument("model")
    parser.add_argument("--pgclip", required=True)
    parser.add_argument("--model-dir", required=True)
    parser.add_argument("--cases", default=list(CASES), **words)
    parser.add_argument("--precisions", default=list(PRECISIONS), **words)
    parser.add_argument("--engines", default=list(NAMES), **words)
    parser.add_argument("--candle")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record")
    return parser.parse_args()


def commands(a):
    """(engine, precision) -> the command that times it."""
    here = Path(__file__).parent / "engines.py"
    name, threads = Path(a.model).name, ["--threads", str(a.threads)]
    found = {}
    for precision in a.precisions:
        if OURS in a.engines:
            cases = [word for case in a.cases for word in ("--case", case)]
            found[OURS, precision] = [a.pgclip, "bench", name, "--model-dir", a.model_dir, "--precision", precision, *threads, *cases]
        for engine, known in engines.PRECISIONS.items():
            if engine in a.engines and precision in known and available(engine, a.model):
                found[engine, precision] = [sys.executable, here, *threads, engine, precision, a.model, *a.cases]
    if a.candle and "candle" in a.engines and "f32" in a.precisions:
        found["candle", "f32"] = [a.candle, a.model, *a.cases]
    return found


def available(engine, model):
    return engine != "faster-clip" or find_spec("faster_clip") is not None and engines.fits_faster_clip(model)


def timings(command, threads):
    """(case, milliseconds); nothing if the engine fails, which it tells."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "RAYON_NUM_THREADS": str(threads)}
    ended = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if ended.returncode:
        print(f"failed: {' '.join(str(word) for word in command)}", file=sys.stderr)
    lines = [line.split() for line in ended.stdout.splitlines()]
    return [(line[0], float(line[2])) for line in lines if len(line) == 3]


def measure(a):
    """(engine, precision, case) -> milliseconds of the whole batch."""
    best = {}
    for round_ in range(a.rounds):
        for (engine, precision), command in commands(a).items():
            for case, taken in timings(command, a.threads):
                key = engine, precision, case
                best[key] = min(best.get(key, taken), taken)
            print(f"round {round_ + 1}: {engine} {precision}", file=sys.stderr, flush=True)
    return best


def default_precision(a):
    """The one that `clip.precision = auto` means here: its vectors are those of a call that names none."""
    def vector(*options):
        command = [a.pgclip, "embed", Path(a.model).name, "--model-dir", a.model_dir, "--text", "a red bicycle", *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    chosen = vector()
    return next(precision for precision in PRECISIONS if vector("--precision", precision) == chosen)


def cell(value, digits=2):
    return "" if value is None else f"{value:.{digits}f}"


def items(case):
    return int(case.partition("_b")[2].partition("_")[0])


def times(best, cases):
    rows = sorted({key[:2] for key in best}, key=lambda key: (PRECISIONS.index(key[1]), key[0] != OURS, key[0]))
    lines = []
    for engine, precision in rows:
        found = [best.get((engine, precision, case)) for case in cases]
        lines.append([NAMES[engine], precision, *(cell(ms and ms / items(case)) for ms, case in zip(found, cases, strict=True))])
    return table(["engine", "precision", *cases], lines)


def peer(best, case, precision=None):
    """(milliseconds, engine, precision) of the fastest other engine, of any precision unless one is given."""
    found = [(ms, *key[:2]) for key, ms in best.items() if key[2] == case and key[0] != OURS and precision in (None, key[1])]
    return min(found, default=None)


def ratio(best, case, ours, precision=None):
    mine, other = best.get((OURS, ours, case)), peer(best, case, precision)
    return cell(mine / other[0] if mine and other else None)


def ratios(best, cases, default):
    """The default precision beside the best engine of all, and each precision beside the best of its own."""
    fastest = [peer(best, case) for case in cases]
    names = [f"{NAMES[other[1]]} {other[2]}" if other else "" for other in fastest]
    lines = [[f"`auto`, which is {default}", "of any precision", *(ratio(best, case, default) for case in cases)],
             ["", "which is", *names]]
    for precision in [default, *(precision for precision in PRECISIONS if precision != default)]:
        found = [ratio(best, case, precision, precision) for case in cases]
        if any(found):
            lines.append([f"`auto`, {default}" if precision == default else precision, f"in {precision}", *found])
    return table(["pg_clip", "best other engine", *cases], lines)


def command_line(a):
    """As it was given, without paths of this machine."""
    model = Path(a.model).name
    words = ["bench/run.sh"] + (["--rounds", str(a.rounds)] if a.rounds else [])
    if a.cases != list(CASES):
        words += ["--cases", ",".join(a.cases)]
    if a.precisions != list(PRECISIONS):
        words += ["--precisions", ",".join(a.precisions)]
    if a.engines != list(NAMES):
        words += ["--engines", ",".join(a.engines)]
    return f"MODEL={model} {' '.join(words)}"


def report(a, best):
    default, processor = default_precision(a), cpu()
    packages = [package for engine in engines.PACKAGES if any(engine == key[0] for key in best) for package in engines.PACKAGES[engine]]
    text = f"""### {Path(a.model).name}, {processor}

{today()}, {a.threads} threads, best of {a.rounds} rounds, `{command_line(a)}`.
{versions(packages)}, Python {sys.version.split()[0]}.

Milliseconds an item:

{times(best, a.cases)}

pg_clip divided by the best other engine, below 1 it is faster:

{ratios(best, a.cases, default)}
"""
    if any(engine == "faster-clip" for engine, _, _ in best):
        text += "\n¹ It decodes and prepares its images, BMPs of 224 × 224, too. Its text tower is none of CLIP's.\n"
    return f"{Path(a.model).name}, {processor}", text


def main():
    a = arguments()
    if not set(a.engines) <= set(NAMES) or not set(a.precisions) <= set(PRECISIONS):
        raise SystemExit(f"expected engines of {', '.join(NAMES)} and precisions of {', '.join(PRECISIONS)}")
    if {"onnxruntime", "openvino"} & set(a.engines):
        subprocess.run([sys.executable, Path(engines.__file__), "export", a.model], check=True)
    best = measure(a)
    key, text = report(a, best)
    print(text)
    if a.record:
        record(a.record, "engines", key, text)


if __name__ == "__main__":
    main()
