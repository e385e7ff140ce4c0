#!/usr/bin/env python3
"""Files of a model that are damaged, exchanged or changed under running sessions: an error, and the server lives on."""
import contextlib
import json
import os
import shutil
import socket
import tempfile
import time

from pg import Session, SqlError, fresh_database, golden_models, hexed, memory_kb, png, until

BAD = ("XX001", "0A000", "58P01")
FILES = {"f32": "weights.f32.safetensors", "bf16": "weights.bf16.safetensors", "int8": "weights.int8v2.safetensors"}
NUMBERS = (0, 1, 3, 255, 65536, 65537, 2**31 - 1, 2**32 - 1, 2**53, 2**63, 2**64, -1, 1e-300, 1e300, 0.5)
IMAGE = hexed(png(4, 3))


def server_log():
    with Session() as session:
        data = session.one("SHOW data_directory")
    with open(os.path.join(os.path.dirname(data), "server.log"), errors="replace") as log:
        return log.read()


def overwrite(path, content):
    """In place, as cp does."""
    os.chmod(path, 0o644)
    with open(path, "wb") as file:
        file.write(content)


@contextlib.contextmanager
def copy_of(model, links=True):
    """A directory of models with one that is called m; its large files are links where nobody writes to them."""
    models = tempfile.mkdtemp(prefix="pg_clip_files_")
    try:
        os.chmod(models, 0o755)
        shutil.copytree(model, os.path.join(models, "m"), copy_function=os.link if links else shutil.copyfile)
        yield models, os.path.join(models, "m")
    finally:
        shutil.rmtree(models)


def numbers(value, path=()):
    """Where a document has a number."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, path + (key,))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from numbers(inner, path + (i,))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path


def every_number(session, model):
    with open(os.path.join(model, "model.json")) as file:
        original = json.load(file)
    tried, slowest, most = 0, 0.0, 0
    base = memory_kb(session.pid, "VmRSS")
    with copy_of(model) as (models, directory):
        manifest = os.path.join(directory, "model.json")
        os.remove(manifest)
        session.run(f"SET clip.model_dir = '{models}'")
        for path in numbers(original):
            for number in NUMBERS:
                changed = json.loads(json.dumps(original))
                place = changed
                for key in path[:-1]:
                    place = place[key]
                if place[path[-1]] == number:
                    continue
                place[path[-1]] = number
                with open(manifest, "w") as file:
                    json.dump(changed, file)
                start = time.monotonic()
                result = session.fails(f"SELECT clip_embed_text('a', 'm'), clip_embed_image({IMAGE}, 'm')")
                slowest = max(slowest, time.monotonic() - start)
                most = max(most, memory_kb(session.pid, "VmHWM") - base)
                assert result in BAD, (path, number, result)
                tried += 1
    print(f"{tried} numbers in model.json: slowest {slowest * 1000:.0f} ms, {most >> 10} MB")
    assert slowest < 2 and most < 300 << 10 and tried > 400


def no_regular_files(session, model):
    def fifo(path):
        os.mkfifo(path, 0o644)

    def unix_socket(path):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)

    kinds = {"fifo": fifo, "directory": os.mkdir, "socket": unix_socket}
    kinds |= {device: lambda path, device=device: os.symlink(device, path) for device in ("/dev/zero", "/dev/stdin", "/proc/self/mem", "/dev/null")}
    for file in ("model.json", "tokenizer.json", "tokenizer.safetensors", "weights.f32.safetensors"):
        for kind, make in kinds.items():
            with copy_of(model) as (models, directory):
                os.remove(os.path.join(directory, file))
                make(os.path.join(directory, file))
                session.run(f"SET clip.model_dir = '{models}'")
                start = time.monotonic()
                session.send("SELECT clip_embed_text('a', 'm')")
                try:
                    raise AssertionError(f"{file} as {kind}: no error but {session.wait(10)}")
                except SqlError as e:
                    assert e.sqlstate in BAD, (file, kind, e)
                assert time.monotonic() - start < 2, (file, kind)
                session.run("SELECT count(*) FROM clip_models()")


def changes(model, db):
    """What is done to a file while sessions use it, and that everybody lives on."""
    def cut(size):
        def act(path, _):
            os.chmod(path, 0o644)
            os.truncate(path, size if size >= 0 else os.path.getsize(path) // 2)
        return act

    def other_bytes(path, content):
        middle = len(content) // 2
        overwrite(path, content[:middle] + bytes(b ^ 0x55 for b in content[middle:middle + 4096]) + content[middle + 4096:])

    def other_bytes_and_old_time(path, content):
        before = os.stat(path)
        other_bytes(path, content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    acts = {"cut to nothing": cut(0), "cut to a page": cut(4096), "cut in half": cut(-1), "other bytes": other_bytes,
            "other bytes, the time set back": other_bytes_and_old_time,
            "a smaller file": lambda path, content: overwrite(path, content[: len(content) // 3]),
            "a larger file": lambda path, content: overwrite(path, content + b"x" * 5000)}
    cases = [(file, p, kind) for p, file in FILES.items() for kind in ("text", "image")] + [("tokenizer.safetensors", "f32", "text")]
    for file, precision, kind in cases:
        for name, act in acts.items():
            with copy_of(model, links=False) as (models, directory), Session(db) as victim, Session(db) as bystander:
                path = os.path.join(directory, file)
                with open(path, "rb") as whole:
                    content = whole.read()
                victim.run(f"SET clip.model_dir = '{models}'; SET clip.precision = '{precision}'; SET clip.cache_entries = 0; SET clip.model = 'm'")
                ask = "SELECT clip_embed_text('a photo of a cat and 12345')" if kind == "text" else f"SELECT clip_embed_image({IMAGE})"
                first = victim.one(ask)
                act(path, content)
                for _ in range(3):
                    assert victim.fails(ask) == "XX001", (file, kind, name)
                assert bystander.one("SELECT 1") == "1", (file, kind, name)
                overwrite(path, content)                     # the original in place
                assert victim.one(ask) == first, (file, kind, name)
                act(path, content)
                assert victim.fails(ask) == "XX001", (file, kind, name)
                with open(path + ".new", "wb") as new:       # the original by a rename
                    new.write(content)
                os.rename(path + ".new", path)
                assert victim.one(ask) == first, (file, kind, name)
    print(f"{len(cases) * len(acts)} changes of files in use")


def harmless(model, db):
    """What leaves a file's content alone is no error."""
    with copy_of(model, links=False) as (models, directory), Session(db) as session:
        session.run(f"SET clip.model_dir = '{models}'; SET clip.cache_entries = 0; SET clip.model = 'm'; SET clip.precision = 'f32'")
        ask = f"SELECT clip_embed_text('a cat'), clip_embed_image({IMAGE})"
        first = session.run(ask)
        files = [os.path.join(directory, file) for file in os.listdir(directory)]

        def same_again():
            for path in files:
                with open(path, "rb") as file:
                    content = file.read()
                overwrite(path, content)

        for act in (lambda: [os.utime(path) for path in files], lambda: [os.chmod(path, 0o400) or os.chmod(path, 0o444) for path in files],
                    lambda: [os.link(path, path + ".link") for path in files], lambda: [os.remove(path + ".link") for path in files],
                    lambda: [os.utime(path, ns=(0, os.stat(path).st_mtime_ns)) for path in files], same_again,
                    lambda: os.rename(directory, directory + "-away")):
            act()
            for _ in range(2):
                assert session.run(ask) == first


def while_it_runs(model, db):
    with copy_of(model, links=False) as (models, directory), Session(db) as victim, Session(db) as other:
        path = os.path.join(directory, "weights.f32.safetensors")
        with open(path, "rb") as whole:
            content = whole.read()
        victim.run(f"SET clip.model_dir = '{models}'; SET clip.precision = 'f32'; SET clip.cache_entries = 0; SET clip.model = 'm'; SET clip.threads = 2")
        first = victim.one("SELECT clip_embed_text('a cat')")
        for batch in ("SELECT cardinality(clip_embed_texts(array_agg('number ' || i || repeat(' and one more', 20)))) FROM generate_series(1, 16384) i",
                      f"SELECT cardinality(clip_embed_images(array_agg({IMAGE} || int4send(i)))) FROM generate_series(1, 16384) i"):
            victim.send(batch)
            until(lambda: other.one(f"SELECT state = 'active' FROM pg_stat_activity WHERE pid = {victim.pid}") == "t")
            time.sleep(0.3)
            os.chmod(path, 0o644)
            os.truncate(path, 0)
            try:
                raise AssertionError(f"no error: {victim.wait()}")
            except SqlError as e:
                assert e.sqlstate == "XX001", e
            assert other.one("SELECT 1") == "1"
            overwrite(path, content)
            assert victim.one("SELECT clip_embed_text('a cat')") == first


db = fresh_database("clip_model_files")
with golden_models({"small": "tiny-openclip-native"}) as installed:
    for file in os.listdir(os.path.join(installed, "small")):
        assert os.stat(os.path.join(installed, "small", file)).st_mode & 0o777 == 0o444, f"{file} can be written to"
    with Session(db) as session:
        session.run("SET clip.precision = 'f32'")
        small = os.path.join(installed, "small")
        session.run(f"SET clip.model_dir = '{installed}'")
        session.run(f"SELECT clip_embed_text('a', 'small'), clip_embed_image({IMAGE}, 'small')")
        every_number(session, small)
        no_regular_files(session, small)
        assert session.one("SELECT pg_backend_pid()") == str(session.pid)
    before = server_log()
    changes(small, db)
    harmless(small, db)
with golden_models({}) as installed, Session(db) as session:
    while_it_runs(os.path.join(session.one("SHOW clip.model_dir"), "pictograms"), db)
    assert "signal" not in server_log()[len(before):]
