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
with Session(fresh_database("clip_ascii", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")) as ascii:
    assert ascii.one(f"SELECT clip_embed_text('{TEXT}')") == expected
    assert ascii.fails("SELECT clip_embed_text(E'broken \\xff\\xfe')") == "22021"
