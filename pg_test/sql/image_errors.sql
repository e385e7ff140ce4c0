-- Bytes that are no image, damaged ones, too large ones: each an error, never a vector.
CREATE TABLE picture (name text, image bytea);
INSERT INTO picture VALUES
	('BMP', decode('Qk3OAQAAAAAAAE4AAAAoAAAAEAAAABgAAAABAAgAAAAAAIABAADEDgAAxA4AAAYAAAAGAAAA////AAD//wAA/wAAAAD/AP8AAAAAAAAABQUFBQUFBQUBAQEBAQEBAQUFBQUFBQUFAQEBAQEBAQEFBQUFBQUFBQEBAQEBAQEBBQUFBQUFBQUBAQEBAQEBAQUFBQUFBQUFAQEBAQEBAQEFBQUFBQUFBQEBAQEBAQEBBQUFBQUFBQUBAQEBAQEBAQUFBQUFBQUFAQEBAQEBAQEAAAAAAAAAAAICAgICAgICAAAAAAAAAAACAgICAgICAgAAAAAAAAAAAgICAgICAgIAAAAAAAAAAAICAgICAgICAAAAAAAAAAACAgICAgICAgAAAAAAAAAAAgICAgICAgIAAAAAAAAAAAICAgICAgICAAAAAAAAAAACAgICAgICAgMDAwMDAwMDBAQEBAQEBAQDAwMDAwMDAwQEBAQEBAQEAwMDAwMDAwMEBAQEBAQEBAMDAwMDAwMDBAQEBAQEBAQDAwMDAwMDAwQEBAQEBAQEAwMDAwMDAwMEBAQEBAQEBAMDAwMDAwMDBAQEBAQEBAQDAwMDAwMDAwQEBAQEBAQE', 'base64')),
	('GIF', decode('R0lGODdhEAAYAIIAAP//////AAD/AP8AAAAA/wAAAAAAAAAAACwAAAAAEAAYAEAIaAAHCBwokIDBgwYBKFyoUIDDhw4LSJwoMYDFixYJEkSIkCFDiBApUsSIUeNAjgdNFkRJwONCkA9dNoQpQOREkhdtVsQZQOUAlgR8AhXKkihKmQBoCkCqlClNpzB1FuAZQCpVqzyx4gwIADs=', 'base64')),
	('JPEG', decode('/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/wAARCAAYABADAREAAhEBAxEB/8QAFwAAAwEAAAAAAAAAAAAAAAAABwkKCP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/xAAXAQEBAQEAAAAAAAAAAAAAAAAJBggH/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAwDAQACEQMRAD8Azo4YVMAjjB0UtisXBc7D44ib24COqWhVLh//2Q==', 'base64')),
	('PNG', decode('iVBORw0KGgoAAAANSUhEUgAAABAAAAAYCAIAAAB8wupbAAAALklEQVR42mP8z4AdMDJgl2FiIBGMaiAGsDD8xx0To6FENw2MuCRwRc9osNJEAwB55gYtBl45PAAAAABJRU5ErkJggg==', 'base64')),
	('TIFF', decode('SUkqAK4AAACAP8AACBQSBwWEQeFQODQ2Ew6Fv+HxOIwuKxCMQiKRmLxeNxOPx6LRySRqRSWGSiSyGVSeWRKXSeYyuZxuax6JTmdTueTqVSGe0GhT+RUKjTuiRyj0uBS+i0yjUmKVCo06lVSg1KK1is1abSmwWGxTCyU2zQSzzCxWu2WW0W+3W62XOwXG03e33S9XC8Xa83u537BWfAYG+4e/4Wx4jB4q24zEQEAACgAAAQMAAQAAABAAAAABAQMAAQAAABgAAAACAQMAAwAAACwBAAADAQMAAQAAAAUAAAAGAQMAAQAAAAIAAAARAQQAAQAAAAgAAAAVAQMAAQAAAAMAAAAWAQMAAQAAABgAAAAXAQQAAQAAAKUAAAAcAQMAAQAAAAEAAAAAAAAACAAIAAgA', 'base64')),
	('WebP', decode('UklGRkIAAABXRUJQVlA4TDYAAAAvD8AFAC8gEEjaH3qN+RcQFPk/2vwHskXCZjAISUoKKaSQQgr5A73AXUT/49RWcw8MkCtg1Rw=', 'base64'));
-- what embedding gives: an SQLSTATE, or which vector
CREATE FUNCTION outcome(image bytea, whole bytea DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN clip_embed_image(image) = clip_embed_image(coalesce(whole, image)) THEN 'vector' ELSE 'another vector' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION message(image bytea) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clip_embed_image(image);
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SET clip.cache_entries = 0;  -- an image that was embedded before would be answered from memory

-- no image at all
SELECT outcome(''), message('');
SELECT outcome('\x00'), message('\x00');
SELECT outcome('just some text'), message('just some text');
SELECT outcome(convert_to(repeat('long ', 100000), 'UTF8'));
-- a picture that nothing here reads, with the way out
\set VERBOSITY default
SELECT clip_embed_image('\x0000001866747970637278200000000063727820') IS NULL;
SELECT outcome('\x384250530001') AS photoshop;

-- cut off anywhere: refused, unless every pixel is there (what follows the pixels of a GIF and a PNG may be missing, as
-- in Pillow); never a half-grey picture
SELECT name, result, count(*) FROM picture, generate_series(0, length(image) - 1) n, outcome(substr(image, 1, n), image) result
WHERE result <> 'vector' OR n < length(image) - 21 GROUP BY name, result ORDER BY name COLLATE "C", result;
SELECT name, message(substr(image, 1, length(image) / 2)) ~ '^(truncated|damaged) .* image' AS says_so FROM picture ORDER BY name COLLATE "C";
SELECT message(substr(image, 1, 50)) FROM picture WHERE name = 'PNG';
-- a damaged checksum, a damaged stream
SELECT name, outcome(set_byte(image, at, get_byte(image, at) # 255)) FROM picture JOIN (VALUES ('PNG', 30), ('PNG', 45), ('PNG', 60)) d (n, at) ON name = n;

-- too many bytes, too many pixels: the size in the header is enough
SET clip.max_image_bytes = 70;
SELECT name, outcome(image) FROM picture ORDER BY name COLLATE "C";
SELECT message(image) FROM picture WHERE name = 'JPEG';
-- a limit is the largest size that is still accepted
SET clip.max_image_bytes = 313;
SELECT length(image), outcome(image), outcome(image || '\x00') FROM picture WHERE name = 'JPEG';
RESET clip.max_image_bytes;
SET clip.max_image_pixels = 383;
SELECT name, outcome(image) FROM picture ORDER BY name COLLATE "C";
SELECT message(image) FROM picture WHERE name = 'JPEG';
SET clip.max_image_pixels = 384;
SELECT name, outcome(image) FROM picture ORDER BY name COLLATE "C";
RESET clip.max_image_pixels;
-- 30,000 x 30,000 pixels in 33 bytes
SELECT outcome('\x89504e470d0a1a0a0000000d4948445200007530000075300802000000' || '\xeb6b8baf'::bytea),
	message('\x89504e470d0a1a0a0000000d4948445200007530000075300802000000' || '\xeb6b8baf'::bytea);
-- in a batch, in a classification, in a table
\set VERBOSITY sqlstate
SELECT clip_embed_images(array_agg(substr(image, 1, length(image) / 2))) IS NULL FROM picture;
SELECT clip_classify(substr(image, 1, 50), ARRAY['cat']) FROM picture WHERE name = 'PNG';
SELECT clip_create_table('refused');
INSERT INTO refused (modality, image) SELECT 'image', substr(image, 1, 50) FROM picture WHERE name = 'PNG';
SELECT clip_query('refused', '\x00'::bytea) IS NULL;
SELECT count(*) FROM refused;
DROP TABLE refused;

-- the limits are the superuser's to raise, by whatever way
CREATE ROLE clip_limited;
SET ROLE clip_limited;
SET clip.max_image_bytes = 1000000000;
SET clip.max_image_pixels = 1000000000;
SELECT set_config('clip.max_image_pixels', '1000000000', false);
ALTER ROLE clip_limited SET clip.max_image_pixels = 1000000000;
CREATE FUNCTION pg_temp.raised() RETURNS int LANGUAGE sql SET clip.max_image_bytes = 1000000000 AS 'SELECT 1';
RESET ROLE;
DROP ROLE clip_limited;
SHOW clip.max_image_bytes;
SHOW clip.max_image_pixels;

-- errors are counted, and the next call is none the worse
SELECT errors > 0 AS counted FROM clip_stats WHERE kind = 'image';
SELECT name, abs(vector_norm(clip_embed_image(image)) - 1) < 1e-5 AS unit FROM picture ORDER BY name COLLATE "C";
DROP FUNCTION outcome, message;
DROP TABLE picture;
