#!/usr/bin/env python3
"""The command line connects as psql does: URLs, words, PG* variables, service and password files, and each sslmode against certificates
that are right and wrong."""
import os
import shutil
import socket
import subprocess
import tempfile

from pg import Session, as_server_user, fresh_database, pgclip, restart_server
from rows import settings

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def asked(*words, **env):
    """(reached, what was said): a load of nothing that changes nothing."""
    database = ["-d", words[0]] if words else []
    ran = subprocess.run([pgclip(), "load", "-n", "-t", "nothing", *database, "empty"], cwd=home, capture_output=True, text=True,
                         env={**CLEAN, "HOME": home, **env})
    return ran.returncode == 0, ran.stderr


def reaches(*words, **env):
    reached, said = asked(*words, **env)
    assert reached, (words, env, said)
    return said


def fails(expected, *words, **env):
    reached, said = asked(*words, **env)
    assert not reached and expected in said, (words, env, said)


def write(name, text, mode=0o600):
    path = os.path.join(home, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def openssl(*words):
    subprocess.run(["openssl", *words], cwd=home, check=True, capture_output=True)


def certificates(data):
    """A server's certificate for `localhost` by an authority of its own, and another authority."""
    for name in ("root", "other"):
        openssl("req", "-new", "-x509", "-days", "2", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-addext", "basicConstraints=critical,CA:TRUE")
    for name in ("localhost", "elsewhere"):
        openssl("req", "-new", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        write("extensions", f"subjectAltName=DNS:{name}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-days", "2",
                "-extfile", "extensions", "-out", f"{name}.crt")
        for end in ("crt", "key"):
            target = os.path.join(data, f"{name}.{end}")
            shutil.copy(os.path.join(home, f"{name}.{end}"), target)
            os.chmod(target, 0o600)
            if os.geteuid() == 0:
                shutil.chown(target, "postgres", "postgres")


def on_the_network(data, **more):
    """The server listens on a free port; connections over the network need a password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings(listen_addresses="127.0.0.1", port=port, **more)
    hba = os.path.join(data, "pg_hba.conf")
    with open(hba, "a", encoding="utf-8") as file:
        file.write("# test_connections\n")
    subprocess.run(as_server_user(["sed", "-i", "1i host all clip_ann 127.0.0.1/32 scram-sha-256", hba]), check=True, cwd="/")
    restart_server()
    os.environ["PGPORT"] = str(port)
    return port


def ways(port):
    """Each parameter by each way, and which goes before which."""
    socket_dir, with_password = os.environ["PGHOST"], f"postgresql://clip_ann:p%40ss@127.0.0.1:{port}/{db}"
    reaches(with_password)
    reaches(f"host=127.0.0.1 port={port} user=clip_ann password='p@ss' dbname={db}")
    reaches(f"postgresql:///{db}?host={socket_dir}&port={port}&user=postgres")
    reaches(PGHOST=socket_dir, PGPORT=str(port), PGUSER="postgres", PGDATABASE=db)
    reaches(db, PGHOST=socket_dir, PGPORT=str(port), PGUSER="postgres", PGDATABASE="none_such")
    reaches(PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="clip_ann", PGDATABASE=db, PGPASSWORD="p@ss")
    fails("password authentication failed", PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="clip_ann", PGDATABASE=db, PGPASSWORD="wrong")
    reaches(f"postgresql://clip_ann:p%40ss@127.0.0.1:1,127.0.0.1:{port}/{db}")
    fails('invalid connection option "colour"', "colour=red")
    fails('"none_such" does not exist', f"postgresql:///none_such?host={socket_dir}&port={port}&user=postgres")
    # files
    here = dict(PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="clip_ann", PGDATABASE=db)
    fails("password", **here)
    write(".pgpass", f"127.0.0.1:{port}:none:clip_ann:wrong\n*:{port}:*:clip_ann:p@ss\n")
    reaches(**here)
    os.chmod(os.path.join(home, ".pgpass"), 0o644)
    fails("is ignored", **here)
    reaches(**here, PGPASSFILE=write("elsewhere", "*:*:*:*:p@ss\n"))
    write(".pg_service.conf", f"[other]\nhost=none\n[photos]\nhost=127.0.0.1\nport={port}\nuser=clip_ann\npassword=p@ss\ndbname={db}\n")
    reaches("service=photos")
    reaches(PGSERVICE="photos", PGHOST="none")
    fails('service "nothing" not found', PGSERVICE="nothing")


def encryption(port):
    """A server with a certificate for `localhost`, later one for another name."""
    def url(mode, root=None, host="localhost"):
        return f"host={host} hostaddr=127.0.0.1 port={port} user=clip_ann password='p@ss' dbname={db} sslmode={mode}" + (f" sslrootcert={root}" if root else "")

    root, other = os.path.join(home, "root.crt"), os.path.join(home, "other.crt")
    with Session() as session:
        encrypted = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'clip_ann' AND s.ssl"
        assert session.one(encrypted) == "0"
    for mode in ("disable", "allow", "prefer", "require"):
        reaches(url(mode))
    fails("invalid sslmode", url("sometimes"))
    fails("does not exist", url("verify-ca"))
    for mode in ("require", "verify-ca", "verify-full"):
        reaches(url(mode, root))
        fails("certificate", url(mode, other))
    fails('weak sslmode "require"', url("require", "system"))
    fails("certificate", url("verify-full", "system"))
    write(".postgresql/root.crt", open(root, encoding="utf-8").read())
    reaches(url("verify-full"))
    settings(ssl_cert_file="elsewhere.crt", ssl_key_file="elsewhere.key")
    restart_server()
    reaches(url("verify-ca"))
    fails("certificate", url("verify-full"))
    settings(ssl="off")
    restart_server()
    reaches(url("prefer"))
    fails("TLS", url("require"))


home = tempfile.mkdtemp(prefix="pg_clip_home_")
old_port = os.environ["PGPORT"]
with Session() as session:
    data = session.one("SHOW data_directory")
    has_tls = session.one("SHOW ssl_library") != "" and shutil.which("openssl") is not None
hba = os.path.join(data, "pg_hba.conf")
kept = open(hba, encoding="utf-8").read()
try:
    os.mkdir(os.path.join(home, "empty"))
    db = fresh_database("clip_connections")
    with Session() as session:
        session.run("DROP ROLE IF EXISTS clip_ann")
        session.run("CREATE ROLE clip_ann LOGIN PASSWORD 'p@ss'")
    if has_tls:
        certificates(data)
    port = on_the_network(data, **(dict(ssl="on", ssl_cert_file="localhost.crt", ssl_key_file="localhost.key") if has_tls else {}))
    ways(port)
    if has_tls:
        encryption(port)
    else:
        print("TLS was left out: this server or machine has none")
finally:
    # pg_ctl would hand PGPORT on, which is the other one still
    settings(listen_addresses=None, port=old_port, ssl=None, ssl_cert_file=None, ssl_key_file=None)
    with open(hba, "w", encoding="utf-8") as file:
        file.write(kept)
    restart_server()
    os.environ["PGPORT"] = old_port
    settings(port=None)
    with Session() as session:
        session.run("DROP ROLE IF EXISTS clip_ann")
    shutil.rmtree(home)
