-- Bytes that are no image, images that are not all there, grey levels above 255.
SET client_min_messages = warning;
\set VERBOSITY terse
-- rows of a BMP of 4 x 4 pixels, the lowest first; n bytes of its pixels
CREATE FUNCTION picture(colour text, n integer DEFAULT 48) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT decode('424d66000000000000003600000028000000040000000400000001001800000000003000000000000000000000000000000000000000', 'hex')
		|| substr(decode(repeat(colour, 16), 'hex'), 1, n) $$;

-- what they look like, and what to do
CREATE FUNCTION hint(image bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
	PERFORM clip_embed_image(image);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s', SQLSTATE, hint);
END $$;
SELECT hint(convert_to(given, 'UTF8')) FROM unnest(ARRAY[encode(picture('0000ff') || picture('ff0000'), 'base64'), 'iVBORw0KGgoAAAANSUhEUg==',
	'data:image/png;base64,iVBORw0KGgo=', '\xffd8ffe0', '<html><body>404 Not Found', '<svg/>', '{"error": "gone"}',
	E'version https://git-lfs.github.com/spec/v1\noid sha256:00', '%PDF-1.7', 'photos/cat.jpg', 'https://example.org/cat.jpg', 'a cat']) given;
SELECT hint(''), hint(repeat('\000', 10)::bytea);
SELECT hint('\x0000001866747970637278200000000063727820'), hint('\x000000186674797069736f6d00000200'), hint('\x384250530001');

-- truncated images: refused, unless they are asked for
SELECT hint(picture('0000ff', 30));
SET clip.truncated_images = 'partly';
SET clip.truncated_images = 'embed';
SELECT vector_dims(clip_embed_image(picture('0000ff', 30))) > 0 AS embedded;
-- again, from memory
SELECT vector_dims(clip_embed_image(picture('0000ff', 30))) > 0 AS embedded;
-- what is there counts
SELECT clip_embed_image(picture('0000ff', 36)) = clip_embed_image(picture('0000ff', 30)) AS same,
	clip_embed_image(picture('0000ff', 36)) = clip_embed_image(picture('0000ff')) AS whole;
SELECT array_length(clip_embed_images(ARRAY[picture('00ff00'), NULL, picture('0000ff', 30)]), 1);
SELECT count(*) FROM clip_classify(picture('0000ff', 30), ARRAY['cat', 'dog']);
-- nothing of it is there
SELECT hint(picture('0000ff', 5));
-- forms that name a model are IMMUTABLE, and follow no setting
SELECT clip_embed_image(picture('0000ff', 30), 'pictograms');
SELECT clip_embed_images(ARRAY[picture('00ff00'), picture('0000ff', 30)], 'pictograms');
SELECT clip_image_hash(picture('0000ff', 30));
RESET clip.truncated_images;
-- a vector that is remembered is not there for those who refuse
SELECT hint(picture('0000ff', 30));

-- tables: a mark among the failures, for as long as the row has such a vector
CREATE VIEW marks AS SELECT relation, key, modality, sqlstate, message, state FROM clip_failures ORDER BY relation, key;
SELECT clip_create_table('shown', keep_images => true, index => false);
\set VERBOSITY default
INSERT INTO shown (id, modality, image) VALUES (1, 'image', picture('0000ff', 30));
SET clip.truncated_images = 'embed';
INSERT INTO shown (id, modality, image) VALUES (1, 'image', picture('0000ff', 30)), (2, 'image', picture('00ff00'));
\set VERBOSITY terse
SELECT id, embedding IS NOT NULL AS embedded FROM shown ORDER BY id;
SELECT * FROM marks;
SELECT waiting, dead FROM clip_queue WHERE relation = 'shown'::regclass;
SELECT clip_retry('shown');
UPDATE shown SET metadata = '{"a": 1}';
UPDATE shown SET image = picture('0000ff', 36) WHERE id = 2;
SELECT key, state FROM marks;
-- a row that is there already keeps its own
INSERT INTO shown (id, modality, image) VALUES (3, 'image', picture('ff0000'));
INSERT INTO shown (id, modality, image) VALUES (3, 'image', picture('ff0000', 30)) ON CONFLICT DO NOTHING;
INSERT INTO shown (id, modality, image) VALUES (3, 'image', picture('ff0000', 30)) ON CONFLICT (id) DO UPDATE SET metadata = '{"b": 2}';
SELECT key FROM marks;
INSERT INTO shown (id, modality, image) VALUES (3, 'image', picture('ff0000', 30)) ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image;
SELECT key FROM marks;
-- repaired, turned into a text, deleted
UPDATE shown SET image = picture('0000ff') WHERE id = 1;
UPDATE shown SET modality = 'text', content_ref = 'a cat', image = NULL WHERE id = 2;
DELETE FROM shown WHERE id = 3;
SELECT key FROM marks;
-- under another key it is another row
INSERT INTO shown (id, modality, image) VALUES (5, 'image', picture('0000ff', 30));
SELECT key FROM marks;
UPDATE shown SET id = 6 WHERE id = 5;
SELECT key FROM marks;
-- undone with its statement
BEGIN;
INSERT INTO shown (id, modality, image) VALUES (4, 'image', picture('0000ff', 30));
ROLLBACK;
SELECT key FROM marks;

-- images that are cleared
SELECT clip_create_table('cleared', index => false);
INSERT INTO cleared (id, modality, image) VALUES (1, 'image', picture('0000ff', 30));
INSERT INTO cleared (id, modality, image) VALUES (1, 'image', picture('0000ff')) ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image;
SELECT key FROM marks;
INSERT INTO cleared (id, modality, image) VALUES (1, 'image', picture('0000ff', 30)) ON CONFLICT (id) DO UPDATE SET image = EXCLUDED.image;
SELECT key FROM marks;
TRUNCATE cleared;
SELECT key FROM marks;

-- mode async
SELECT clip_create_table('later', mode => 'async', keep_images => true, index => false);
INSERT INTO later (id, modality, image) VALUES (1, 'image', picture('0000ff', 30)), (2, 'image', picture('00ff00')), (3, 'image', 'just text');
CALL clip_drain('later');
SELECT * FROM marks;
SELECT id, embedding = clip_embed_image(image) AS right_vector FROM later WHERE id < 3 ORDER BY id;
-- a job too many takes no mark away
INSERT INTO clip.queue (relation, embedding_column, key) VALUES ('later', 'embedding', '{1}');
CALL clip_drain('later');
SELECT key FROM marks;
UPDATE later SET image = picture('0000ff') WHERE id = 1;
SELECT key FROM marks;
UPDATE later SET image = picture('0000ff', 36) WHERE id = 2;
CALL clip_drain('later');
SELECT key FROM marks;
UPDATE later SET id = 7 WHERE id = 2;
SELECT key FROM marks;
UPDATE later SET id = 2 WHERE id = 7;
RESET clip.truncated_images;
UPDATE later SET image = picture('00ff00', 30) WHERE id = 2;
CALL clip_drain('later');
SELECT key, sqlstate, message, state FROM marks;
DROP TABLE later;

-- backfill
CREATE TABLE mine (id text PRIMARY KEY, photo bytea, embedding vector(256));
INSERT INTO mine VALUES ('a', picture('0000ff', 30)), ('b', picture('00ff00')), ('c', 'x');
SELECT clip_attach('mine', image_column => 'photo');
CALL clip_backfill('mine');
SELECT key, state FROM marks;
SET clip.truncated_images = 'embed';
CALL clip_backfill('mine');
SELECT key, state FROM marks;
UPDATE mine SET id = 'd' WHERE id = 'a';
CALL clip_backfill('mine');
SELECT key, state FROM marks;
-- without a key nobody could find the row again
CREATE TABLE keyless (photo bytea, embedding vector(256));
SELECT clip_attach('keyless', image_column => 'photo');
INSERT INTO keyless VALUES (picture('0000ff', 30));
SELECT count(*) FROM marks WHERE relation = 'keyless'::regclass;
RESET clip.truncated_images;
DROP TABLE keyless, mine, cleared, shown;
SELECT count(*) FROM clip.failures;

-- 16 bits: 4 x 4 levels of grey, of 8 bits, of 16, of 12 in 16, and as Pillow's convert('RGB') makes them of 16
SELECT decode('iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAHElEQVR42mNgsKnYwsDp2riXQciv6xiDdPjk/wA4wAapgJlp8gAAAABJRU5ErkJggg==', 'base64') AS g8,
	decode('iVBORw0KGgoAAAANSUhEUgAAAAQAAAAEEAAAAADcCh3hAAAALUlEQVR42mNgYLCxqajYsoWBk9PVtbFx714GISE/v66uY8cYpKXDwydP/v8fAMosDVH/H8lGAAAAAElFTkSuQmCC', 'base64') AS g16,
	decode('iVBORw0KGgoAAAANSUhEUgAAAAQAAAAEEAAAAADcCh3hAAAALUlEQVR42mNgYGc+zt7O7c7AMJ0lnEOc+zoDozrLc47lPOkMjNtZyznN+b8DAIPUCFSpBtlFAAAAAElFTkSuQmCC', 'base64') AS g12,
	decode('iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAAAAACMmsGiAAAAEElEQVR42mNg+P//PwgjEQCMhw7y3JCf4gAAAABJRU5ErkJggg==', 'base64') AS cut \gset
SET client_min_messages = notice;
\set VERBOSITY default
SELECT clip_embed_image(:'g16') = clip_embed_image(:'cut') AS as_pillow;
\set VERBOSITY terse
-- once a session
SELECT clip_embed_image(:'g12') = clip_embed_image(:'g8') AS same;
SET clip.gray16 = 'scale';
SELECT clip_embed_image(:'g16') = clip_embed_image(:'g8') AS sixteen, clip_embed_image(:'g12') = clip_embed_image(:'g8') AS twelve,
	clip_embed_image(:'g16', 'pictograms') = clip_embed_image(:'cut', 'pictograms') AS immutable;
SELECT clip_image_hash(:'g16') = clip_image_hash(:'cut') AS hash;
RESET clip.gray16;
SELECT clip_embed_image(:'g16') = clip_embed_image(:'cut') AS as_pillow;

-- a JPEG of 400 x 400 pixels, which is decoded to 200 x 200
SELECT decode('/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAGRFS1hLP2RYUVhxamR3lvqjloqKlv/b57X6////////////////////////////////////////////////////wAALCAGQAZABAREA/8QAGAABAQEBAQAAAAAAAAAAAAAAAAIDAQT/xAArEAEAAgEDBAECBgMBAAAAAAAAAQISMkFRAxExYSGBkQQTIjNCUnGhsSP/2gAIAQEAAD8A8oALrphQAi+yQB2uqGgAMgAXXTCgBF9kgDtdUNAAZAAuumFACL7JAHa6oaAAyABddMKAEX2SAO11Q0ABkAC66YUAIvskAdrqhoADIAF10woARfZIA7XVDQAGQALrphQAi+yQB2uqGgAMgAXXTCgBF9kgDtdUNAAZAAuumFACL7JAHa6oaAAyABddMKAEX2SAO11Q0ABkAC66YUAIvskAdrqhoADIAF10woARfZIA7XVDQAE4xwYxwYxwYxwYxwYxw5MzE9o8OZTyZTyZTyZTyZTy7X9Xl3GODGODGODGODGOCYiI7x5TlPJlPJlPJlPJlPJlPKsY4MY4MY4MY4MY4MY4cmZie0eHMp5Mp5Mp5Mp5Mp5dr+ry7jHBjHBjHBjHBjHBMREd48pynkynkynkynkynkynloADO2qXABVN1gCbaZQADUAGdtUuACqbrAE20ygAGoAM7apcAFU3WAJtplAANQAZ21S4AKpusATbTKAAagAztqlwAVTdYAm2mUAA1ABnbVLgAqm6wBNtMoABqADO2qXABVN1gCbaZQADUAGdtUuACqbrAE20ygAGoAM7apcAFU3WAqOnef4y7PQntPeYcjoRvMn5FeZPyK8yfkV5lyehHf4t/pM9G8cSqa2r5iYcAGdtUuACqbrAE20ygAFZ+jP0Z+jP0Z+jP0dsvkw9mHsw9mHsw9mj33M/TtZm0/Fe7WvT/t9oa1mtfFezufo75fBh7MPZh7MPZh7MPZn6RatJ/j2/wytS0eI7s8/Rn6M/R2y+TD2YezD2YezD2aPfcz9Gfoz9Gfoz9HfL4MPZh7MPZh7MPZh7SAC66YUAIvs0p0d7/ZrEREdojs6DtdUNAAZAm9K3j5+7C/Tmnz5jlC66YUAIvskAdrqhoADIAF10woB2tZvPaIbflxTt288gA7XVDQAGQAx6nR3p9k18OgCL7JAHa6oaAAyABddMKB2lJvPaPu9NaxWO0OX2SAO11Q0ABkADlunlXvHn/rEARfZIA7XVDQAGQALrphQ7Ss3t2h6a1isdoUi+yQB2uqGgAMgAXXTCOr08o7x5/wCsAEX2SAO11Q0ABkAC66YUPT06YV7b7rEX2SAO11Q0ABkAC66YUw61O05Rv5ZAi+yQB2uqGgAM8Z4MZ4MZ4MZ4MZ4MZ4VExEdp8mUctuhEap+jbKOTKOTKOXLfq8OYzwYzwYzwYzwYzw7ETE958O5RyZRyZRyZRyZRyZRynGeDGeDGeDGeDGeDGeFRMRHafJlHJM1mO0vLftW0x3TlHJlHLlv1eHMZ4MZ4MZ4MZ4MZ4diJie8+Hco5Mo5Mo5Mo5Mo5Mo5UADO2qStcrREbvVEdo7Q6CqbrAE20ygAGoAM7apcGfWrlTvvDziqbrAE20ygAGoAM7apa9Cvm30bAKpusATbTKAAagAztqlwHkvXG0w4qm6wBNtMoABqADO2qXppGNYjhQCqbrAE20ygAGoAM7apcBj+Ijxb6MVU3WAJtplAANQATWO/Wj/L0gCqbrAE20ygAGoAM7apcBPUjv07f4eVVN1gCbaZQADUAHelH/pafTYAVTdYAm2mUAA1ABnbVLgDxzHaZjhVN1gCbaZQADUAF9KNU+2gAqm6wBNtMoABqADO2qXAHl6sdupYpusATbTKAAAAev8L+19WwAi+yQB2uqGgAMgAXXTCgHm637ksb7JAHa6oaAAyAB6/wv7X1bACL7JAHa6oaAAyABddMKAebrfuSxvskAdrqhoADIAHr/C/tfVsAIvskAdrqhoADIAF10woB5ut+5LG+yQB2uqGgAMgAer8LP6JhuAIvskAdrqhoADIAF10woB5OpPe9u/LO+yQB2uqGgAMgAb/hp7Wj3D1ACL7JAHa6oaAAyABddMKByZ7RM8PIi+yQB2uqGgAMgAadOccZ4l7QBF9kgDtdUNAAZAAuumFAz609unPv4edF9kgDtdUNAATjHBjHBjHBjHBjHBjHDkzMT2jw9HS6kz04+fHwvKeTKeTKeTKeXa/q8u4xwYxwYxwYxwYxwTERHePKcp5Mp5Mp5Mp5Mp5Mp5VjHBjHBjHBjHBjHBjHDkzMT2jw5lPJlPJlPLDr9SZtEd/DLKeXa/q8u4xwYxwYxwYxwYxwTERHePKcp5Mp5Mp5Mp5Mp5Mp5aAAztqlfRt2v25egBVN1gCbaZQADUAGdtUuDkzFYmZ2eSZ7z3kVTdYAm2mUAA1ABnbVLj1UtnXv91Aqm6wBNtMoABqADO2qXBj17/xj6sRVN1gCbaZQADUAGdtUuL6V8LfPifL0gqm6wBNtMoABqADO2qXE3thXv9nlme895BVN1gCbaZQADUAGdtUuDbo3/jP0bCqbrAE20ygAGoAM7apTM9o7y83UvnbvtskFU3WAJtplAANQAZ21S4D0dLqZfE+f+tFU3WAJtplAANQAZ38y83V6mXxHj/rMBVN1gCbaZQACs/Rn6M/Rn6M/Rn6O2XyYezD2YezD29HTtFo7WntP/Wmj33M/Rn6M/Rn6M/R3y+DD2YezD2YezD2YezP0Z+jP0Z+jP0T1IiO8/H1efq3/ADPE9oZ4ezD2YezD2YezR77mfoz9Gfoz9Gfo75fBh7MPZh7MPZh7MPaQAXXTCgBX53btF/n20iYmO8T3dAdrqhoADIBN71pHz9nnvebz8+OHa6YUAIvskAdrqhoADIAF10woARfZyt7V8T9G9erW3n4loDtdUNAAZDkzFY7zPZlfrbU+7GZmZ7zPcXXTCgBF9kgDtdUNAAZAAuumFACL7JHa3tXxP0a16/8AaPs0jqUn+ULrqhoAOTMR5ns889Wkb9/8M7de0+I7M5mZnvM9wF10woARfZIA7XVDQAGQALrphQAi+yQBVJmLfE9msdS8fyd/Nv8A2/0fm3/t/o/Nv/b/AEmb2mdUuMgAXXTCgBF9kgDtdUNAAZAAuumFACL7JAHa6oaAAyABddMKAEX2SAO11Q0ABnjPBjPBjPBjPBjPBjPComIjtPkyjkyjkyjkyjkyjly36vDmM8GM8GM8GM8GM8OxExPefDuUcmUcmUcmUcmUcmUcpxngxngxngxngxngxnhUTER2nyZRyZRyZRyZRyZRy5b9XhzGeDGeDGeDGeDGeHYiYnvPh3KOTKOTKOTKOTKOTKOVAAztqlwAVTdYAm2mUAA1ABnbVLgAqm6wBNtMoABqADO2qXABVN1gCbaZQADUAGdtUuACqbrAE20ygAGoAM7apcAFU3WAJtplAANQAZ21S4AKpusATbTKAAagAztqlwAVTdYAm2mUAA1ABnbVLgAqm6wBNtMoABqADO2qXABVN1gCbaZQADUAGdtUuACqbrAE20ygAGoAM7apcAFU3WAJtplAANQAZ21S4AKpusATbTKAAf/Z', 'base64') AS jpeg \gset
SELECT clip_embed_image(:'jpeg') AS full, clip_embed_image(:'jpeg', 'pictograms') AS fixed \gset
SET clip.jpeg_decoding = 'half';
SET clip.jpeg_decoding = 'reduced';
SELECT clip_embed_image(:'jpeg') = :'full' AS same, clip_embed_image(:'jpeg') <=> :'full' < 0.01 AS near,
	clip_embed_image(:'jpeg', 'pictograms') = :'fixed' AS immutable;
RESET clip.jpeg_decoding;
SELECT clip_embed_image(:'jpeg') = :'full' AS same;
DROP VIEW marks;
DROP FUNCTION hint, picture;
