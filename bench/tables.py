"""Tables in Markdown, what they say of the machine, and RESULTS.md, where each machine has its own. Standard library only."""
import time
from importlib.metadata import PackageNotFoundError, version

FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")


def table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def today():
    return time.strftime("%Y-%m-%d")


def cpu():
    """Its name, and those of its features that the engines choose kernels by."""
    name, flags = "", []
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            if key.strip() in ("model name", "CPU implementer") and not name:
                name = value.strip()
            if key.strip() in ("flags", "Features"):
                flags = value.split()
                break
    return f"{name} ({', '.join(feature for feature in FEATURES if feature in flags)})"


def versions(packages):
    """Of those that are installed."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            pass
    return ", ".join(found)


def record(path, kind, key, text):
    """Puts `text` into its place in a file: between `<!-- kind: key -->` and `<!-- end -->`, instead of what stands there.

    A new key comes last of its kind, before `<!-- more kind -->`.
    """
    with open(path, encoding="utf-8") as file:
        before = file.read()
    begin, end, more = f"<!-- {kind}: {key} -->\n", "<!-- end -->\n", f"<!-- more {kind} -->\n"
    if begin in before:
        head, rest = before.split(begin, 1)
        tail = rest.split(end, 1)[1]
    elif more in before:
        head, tail = before.split(more, 1)
        tail = "\n" + more + tail
    else:
        raise SystemExit(f"{path} has no line {more.strip()}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + begin + text.rstrip("\n") + "\n" + end + tail)
