"""Pictures and texts that rows are made of, numbered, and the vectors that each model makes of them.

`pictures` and `expected` lie in the database: what a row must have is one look-up."""
from pg import hexed, png

NAMES = ["red bicycle", "cat", "old house by the sea", "seven apples", "train", "drawing of a horse"]
WHATS = ["at night", "in the snow", "2024", "on a table with flowers"]
TEXTS = [f"{name} {what}" for name in NAMES for what in WHATS]
PICTURES = 24
DAMAGED, TOO_LARGE = PICTURES, PICTURES + 1   # numbers of those that fail: no image, and one beyond the limits


def picture(no):
    r, g, b = no * 53 % 256, no * 101 % 256, no * 197 % 256
    step = 1 + no % 5
    return png(6, 5, lambda x, y: ((r + 90 * (x // step % 2)) % 256, (g + 70 * (y // step % 2)) % 256, (b + 40 * x) % 256))


def make(session, models):
    session.run("CREATE TABLE pictures (no int PRIMARY KEY, image bytea NOT NULL)")
    pictures = [picture(no) for no in range(PICTURES)] + [b"no image", png(1, 1, declared=(30000, 30000))]
    session.run("INSERT INTO pictures VALUES " + ", ".join(f"({no}, {hexed(image)})" for no, image in enumerate(pictures)))
    session.run("CREATE FUNCTION pic(int) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT image FROM public.pictures WHERE no = $1'")
    session.run("CREATE TABLE expected (model text, modality text, no int, content text, embedding vector NOT NULL, PRIMARY KEY (model, modality, no))")
    session.run("CREATE TABLE texts (no int PRIMARY KEY, content text UNIQUE)")
    session.run("INSERT INTO texts VALUES " + ", ".join(f"({no}, '{text}')" for no, text in enumerate(TEXTS)))
    for model in models:
        session.run(f"INSERT INTO expected SELECT '{model}', 'text', no, content, clip_embed_text(content, '{model}') FROM texts")
        session.run(f"INSERT INTO expected SELECT '{model}', 'image', no, NULL, clip_embed_image(image, '{model}') FROM pictures WHERE no < {PICTURES}")
    closest = session.one("SELECT min(a.embedding <=> b.embedding) FROM expected a JOIN expected b "
                          "ON (a.model, a.modality, a.no) < (b.model, b.modality, b.no)")
    assert float(closest) > 4e-4, f"two sources have the same vector, at a distance of {closest}"
    return pictures
