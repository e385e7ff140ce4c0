-- The trigger embeds when what a vector is made of changes, and only then.
SELECT clip_create_table('items');
SELECT clip_create_table('kept', keep_images => true);
\set red '''\\x424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'''
\set blue '''\\x424d460000000000000036000000280000000200000002000000010018000000000010000000000000000000000000000000000000000000ff0000ff00000000ff0000ff'''
CREATE FUNCTION embedded() RETURNS bigint LANGUAGE sql AS 'SELECT coalesce(sum(items + memo_hits), 0)::bigint FROM clip_stats';

INSERT INTO items (modality, content_ref) VALUES ('text', 'cat');
INSERT INTO items (modality, content_ref, image) VALUES ('image', 'red.bmp', :red);
-- image bytes are input only
SELECT modality, content_ref, image IS NULL AS cleared, vector_norm(embedding) > 0.99 AS embedded FROM items ORDER BY id;
INSERT INTO kept (modality, content_ref, image) VALUES ('image', 'red.bmp', :red);
SELECT image IS NOT NULL AS kept, embedding = clip_embed_image(image) AS embedded FROM kept;

-- an UPDATE of another column embeds nothing
SELECT embedded() AS before \gset
UPDATE items SET metadata = '{"a": 1}';
UPDATE kept SET metadata = '{"a": 1}';
UPDATE kept SET image = image, content_ref = content_ref;
SELECT embedded() - :before AS embedded;
-- a new URL for an image is no new image
UPDATE items SET content_ref = 'moved.bmp' WHERE modality = 'image';
SELECT embedded() - :before AS embedded, (SELECT embedding IS NOT NULL FROM items WHERE modality = 'image') AS kept_vector;
-- new text, new image, new modality
UPDATE items SET content_ref = 'dog' WHERE modality = 'text';
SELECT embedding = clip_embed_text('dog') AS follows FROM items WHERE modality = 'text';
UPDATE items SET image = :blue WHERE modality = 'image';
SELECT embedding = clip_embed_image(:blue) AS follows, image IS NULL AS cleared FROM items WHERE modality = 'image';
UPDATE items SET modality = 'text', content_ref = 'a blue square' WHERE modality = 'image';
SELECT embedding = clip_embed_text('a blue square') AS follows FROM items WHERE content_ref = 'a blue square';
UPDATE kept SET image = :blue;
SELECT embedding = clip_embed_image(:blue) AS follows FROM kept;

-- COPY and INSERT ... SELECT go the same way; a row that brings its vector, as from a dump, keeps it
COPY items (modality, content_ref) FROM stdin;
text	from copy
\.
INSERT INTO items (modality, content_ref, embedding) SELECT 'image', 'restored.bmp', clip_embed_image(:red);
SELECT content_ref, embedding = CASE content_ref WHEN 'from copy' THEN clip_embed_text('from copy') ELSE clip_embed_image(:red) END AS right_vector
FROM items WHERE content_ref IN ('from copy', 'restored.bmp') ORDER BY 1;

-- one bad image: the statement fails and nothing is lost
\set VERBOSITY sqlstate
INSERT INTO items (modality, content_ref, image) VALUES ('image', 'good.bmp', :red), ('image', 'bad.bmp', '\x00');
\set VERBOSITY default
SELECT count(*) FROM items WHERE content_ref IN ('good.bmp', 'bad.bmp');
DROP TABLE items, kept;
