#!/usr/bin/env python3
"""Databases in other encodings than UTF-8 give the same vectors for the same text."""
from pg import Session, fresh_database

TEXT = "Möwe über Hügel"
with Session(fresh_database("clip_utf8", "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")) as utf8:
    expected = utf8.one(f"SELECT clip_embed_text('{TEXT}')")
    count = utf8.one(f"SELECT clip_token_count('{TEXT}')")
with Session(fresh_database("clip_latin1", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")) as latin1:
    assert latin1.one("SHOW server_encoding") == "LATIN1"
    assert latin1.one(f"SELECT clip_embed_text('{TEXT}')") == expected
    assert latin1.one(f"SELECT (clip_embed_texts(ARRAY['x', '{TEXT}']))[2]") == expected
    assert latin1.one(f"SELECT clip_token_count('{TEXT}')") == count
    latin1.run("SELECT clip_create_table('items')")
    latin1.run(f"INSERT INTO items (modality, content_ref) VALUES ('text', '{TEXT}')")
    assert latin1.one("SELECT embedding FROM items") == expected
    labels = latin1.run("SELECT label FROM clip_classify('\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000', ARRAY['Möwe', 'x'])")
    assert ["Möwe"] in labels, labels
    latin1.run("CREATE TABLE t (title text, embedding vector)")
    latin1.run(f"INSERT INTO t VALUES ('{TEXT}')")
    latin1.run("SELECT clip_attach('t', text_column => 'title')")
    latin1.run("CALL clip_backfill('t')")
    assert latin1.one("SELECT embedding FROM t") == expected
with Session(fresh_database("clip_ascii", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")) as ascii:
    assert ascii.one(f"SELECT clip_embed_text('{TEXT}')") == expected
    assert ascii.fails("SELECT clip_embed_text(E'broken \\xff\\xfe')") == "22021"
    # a backfill notes the one text that has no form in UTF-8, and embeds the others
    ascii.run("CREATE TABLE t (title text, embedding vector)")
    ascii.run(f"INSERT INTO t VALUES ('{TEXT}'), (E'broken \\xff\\xfe'), ('x')")
    ascii.run("SELECT clip_attach('t', text_column => 'title')")
    ascii.run("CALL clip_backfill('t')")
    assert ascii.one("SELECT count(embedding) FROM t") == "2"
    assert ascii.one(f"SELECT embedding FROM t WHERE title = '{TEXT}'") == expected
    assert ascii.run("SELECT sqlstate, message FROM clip_failures") == [["22021", "text is not valid in the encoding UTF8"]]

# names that are not ASCII, whatever the database's encoding
for encoding, client in (("LATIN1", "UTF8"), ("EUC_JP", "UTF8"), ("SQL_ASCII", "SQL_ASCII"), ("UTF8", "UTF8")):
    name = {"EUC_JP": "日本"}.get(encoding, "été")
    with Session() as admin:
        admin.run("DROP DATABASE IF EXISTS clip_names")
        admin.run(f"CREATE DATABASE clip_names ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with Session("clip_names", PGCLIENTENCODING=client) as session:
        session.run("SET client_min_messages = error; CREATE EXTENSION pg_clip CASCADE")
        session.run(f'CREATE SCHEMA "s {name}"; SET search_path = "s {name}", public')
        for mode in ("sync", "async"):
            table, key, words, vectors = (f'"{name} {what} {mode}"' for what in ("table", "key", "words", "vectors"))
            session.run(f"CREATE TABLE {table} ({key} text PRIMARY KEY, {words} text, {vectors} vector)")
            session.run(f"SELECT clip_attach('{table}', '{vectors[1:-1]}', text_column => '{words[1:-1]}', mode => '{mode}')")
            session.run(f"INSERT INTO {table} VALUES ('{name}', 'cat'), ('b', 'dog')")
            session.run(f"CALL clip_drain('{table}')")
            assert session.one(f"SELECT count(*) FROM {table} WHERE {vectors} <=> clip_query('{table}', {words}) < 1e-5") == "2", (encoding, mode)
            session.run(f"UPDATE {table} SET {vectors} = NULL; DELETE FROM clip.queue; CALL clip_backfill('{table}')")
            assert session.one(f"SELECT count({vectors}) FROM {table}") == "2", (encoding, mode)
            assert session.one(f"SELECT clip_retry('{table}', '{vectors[1:-1]}')") == "0"
            session.run(f"SELECT clip_set_mode('{table}', 'sync', '{vectors[1:-1]}'); SELECT clip_detach('{table}', '{vectors[1:-1]}')")
with Session() as admin:
    admin.run("DROP DATABASE clip_names")
