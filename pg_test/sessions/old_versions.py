"""Released versions of the extension, whose scripts are in pg_test/upgrade."""
import contextlib
import filecmp
import glob
import os
import re
import subprocess

from pg import ROOT, Session

SCRIPTS = os.path.join(ROOT, "pg_test", "upgrade")


@contextlib.contextmanager
def released_versions():
    """Puts the scripts of released versions beside the present one, and gives the versions, the oldest first."""
    share = subprocess.run([os.environ.get("PG_CONFIG", "pg_config"), "--sharedir"], capture_output=True, text=True, check=True).stdout.strip()
    directory = os.path.join(share, "extension")
    sudo = [] if os.access(directory, os.W_OK) else ["sudo"]  # as `make test` installs the present one
    scripts = sorted(glob.glob(os.path.join(SCRIPTS, "pg_clip--*.sql")), key=lambda path: [int(n) for n in re.findall(r"\d+", os.path.basename(path))])
    missing = [path for path in scripts if not is_same(path, os.path.join(directory, os.path.basename(path)))]
    places = [os.path.join(directory, os.path.basename(path)) for path in missing]
    # whoever has one there that is another gets it back
    others = [place for place in places if os.path.exists(place)]
    for place in others:
        subprocess.run([*sudo, "mv", place, place + ".kept"], check=True)
    if missing:
        subprocess.run([*sudo, "install", "-m", "644", *missing, directory], check=True)
    try:
        yield [re.fullmatch(r"pg_clip--(.*)\.sql", os.path.basename(path)).group(1) for path in scripts]
    finally:
        if missing:
            subprocess.run([*sudo, "rm", *places], check=True)
        for place in others:
            subprocess.run([*sudo, "mv", place + ".kept", place], check=True)


def is_same(path, other):
    return os.path.exists(other) and filecmp.cmp(path, other, shallow=False)


def with_version(name, version, settings):
    """A new database with an old version of the extension, and settings of its own."""
    with Session() as admin:
        admin.run(f"DROP DATABASE IF EXISTS {name}")
        admin.run(f"CREATE DATABASE {name}")
        admin.run("LOAD 'pg_clip'")
        for setting, value in settings.items():
            admin.run(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    with Session(name) as session:
        session.run("SET client_min_messages = error; CREATE EXTENSION vector")
        session.run(f"CREATE EXTENSION pg_clip VERSION '{version}'")


def catalogue(name):
    """All that the extension is in a database, as lines of text."""
    with open(os.path.join(SCRIPTS, "catalogue.sql")) as sql:
        query = sql.read()
    with Session(name) as session:
        return [line for row in session.run(query) for line in row]
