"""Which library versions made the goldens: every script records its own in VERSIONS.json and in what it writes."""
import json
import platform
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARIES = ("torch", "transformers", "tokenizers", "numpy", "safetensors")


def versions(*more: str) -> dict[str, str]:
    return {"python": platform.python_version()} | {lib: version(lib) for lib in (*LIBRARIES, *more)}


def record(script: str, *more: str) -> dict[str, str]:
    """Notes this run's versions under the script's name, so that goldens made at different times tell so."""
    path = HERE / "VERSIONS.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[script] = versions(*more)
    path.write_text(json.dumps(dict(sorted(known.items())), indent=2) + "\n")
    print(f"{script}: " + " ".join(f"{k} {v}" for k, v in known[script].items()))
    return known[script]
