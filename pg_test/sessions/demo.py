"""For tests of the command line: a directory of pictures, and a table of theirs beside some texts."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from pg import ROOT, pgclip

PICTURES = os.path.join(ROOT, "models", "demo", "pictures")
TEXTS = ["a cow in a field", "a bicycle", "code AX-1037", "\x1b[31mred\x1b[0m and <b>bold</b> \u202etxt"]


@contextlib.contextmanager
def directory(count):
    """A copy of the first pictures of the demo, by name, in `root` of a directory that has other things as well; removed at the end."""
    names = sorted(os.listdir(PICTURES))[:count]
    above = tempfile.mkdtemp(prefix="pg_clip_browse_")
    try:
        root = os.path.join(above, "root")
        os.makedirs(os.path.join(root, "sub"))
        for name in names:
            shutil.copy(os.path.join(PICTURES, name), root)
        yield root, names
    finally:
        shutil.rmtree(above)


def fill(db, table, root, names):
    """Texts, and pictures whose metadata have their number and whether it is even. By COPY, whose escapes JSON's backslashes need."""
    def field(value):
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    lines = [f"text\t{field(text)}\t\\N\t\\N" for text in TEXTS]
    for i, name in enumerate(names):
        metadata = {"number": i, "parity": ["even", "odd"][i % 2]}
        with open(os.path.join(root, name), "rb") as file:
            lines.append(f"image\t{field(name)}\t{field(json.dumps(metadata))}\t\\\\x{file.read().hex()}")
    subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", db, "-c", f"COPY {table} (modality, content_ref, metadata, image) FROM STDIN"],
                   input="\n".join(lines) + "\n", text=True, check=True, env={**os.environ, "PGCLIENTENCODING": "UTF8"})


def command(*words, status=0, **env):
    """Standard output and error of pgclip, which must end with this status."""
    done = subprocess.run([pgclip(), *words], capture_output=True, text=True, timeout=120, env={**os.environ, **env})
    assert done.returncode == status, (words, done)
    return done.stdout, done.stderr
