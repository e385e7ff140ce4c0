-- clip_image_frames and clip_image_preview: images that are in an image, and what the guide does with them.
SET client_min_messages = warning;
\set VERBOSITY terse
-- three frames of 24 x 18 pixels, shown for 100, 200 and 300 ms
\set gif '\\x47494638396118001200830000ffe42279f3bd068366a852c1bb9651f3cd18ec08f6a4e724d26facd2aeb0daf2a972cd3fa02fd44f487078de451f5f6c21f904040a0000002c00000000180012000004ff1080524208411451c6806310424829a50000000c2594228a286314422021a5940200282184024511658c514821a414584a08218822c4186540420a29a514638c090196504429a38c420821b094528a31268410848042943106298494520a34a694228428630c522021a594628c29e794038b10a294310821a414584a31c59c738e1042c032ca288490524a31059a52ce396594420821b094524c31e694534a81058d3106218494520a2cc59853ce2908a131e0188510524a29a51803cf290521840821a414584a29a69c730e4208c19452218590524a31061a53ce39a52094524ab010424a29c514534e81e52084504a2595520a2ca69473ca4108a194602a244aa9524a29c618034f3907a1824a494915a84a29a51463cc39e74084504929a5a25489000021f90405140005002c050004000c00090000044a708c310a21a4945246816310424829a58c310624a490524a218490526029a514530821a594024d318594524a29a518684c29a51853cc39a7c0524a29c69872ce290596628c29e79c12010021f904051e0005002c0a0002000d000e0000047bb01853ce390795829281c69872ce29a8a0540a34e69c534a41a59c53602905a194522ae79c0311422895924a39e520580a4a2925551042a9c0948a2a6aa1524a4a0926a58a5aa5149452495029a5562a29a9a24a816b2d96524aaa94b20a5c8ba5925251aa94b2e02a4a15b5d65aac14065b51aaacb55629acb408003b'
SELECT array_length(clip_image_frames(:'gif'), 1) AS frames, array_length(clip_image_frames(:'gif', 2), 1) AS two, pg_typeof(clip_image_frames(:'gif'));
SELECT clip_image_frames(:'gif', 1) = (clip_image_frames(:'gif'))[3:3] AS the_middle_one, substr((clip_image_frames(:'gif'))[1], 2, 3) = 'PNG' AS png;
-- the first one is what the animation is embedded as
SELECT clip_image_hash((clip_image_frames(:'gif'))[1]) = clip_image_hash(:'gif') AS same,
	clip_image_hash((clip_image_frames(:'gif'))[3]) = clip_image_hash(:'gif') AS another;
-- a still image is one frame
SELECT clip_image_frames((clip_image_frames(:'gif'))[1]) = (clip_image_frames(:'gif'))[1:1] AS itself;
SELECT clip_image_frames(NULL) IS NULL AS null_image;

-- errors are those of clip_embed_image
SELECT clip_image_frames(:'gif', 0);
SELECT clip_image_frames(:'gif', 1001);
SELECT clip_image_frames('\x00');
SELECT clip_image_frames(substr(:'gif'::bytea, 1, 100));
SET clip.max_image_pixels = 432;
SELECT array_length(clip_image_frames(:'gif'), 1);
SET clip.max_image_pixels = 431;
SELECT clip_image_frames(:'gif');
RESET clip.max_image_pixels;

-- an animation as rows, each with its place
CREATE TABLE shots (animation int, frame int, embedding vector(256), PRIMARY KEY (animation, frame));
INSERT INTO shots
SELECT 1, f.place, clip_embed_image(f.image) FROM unnest(clip_image_frames(:'gif', 8)) WITH ORDINALITY f(image, place);
SELECT animation, frame, round(vector_norm(embedding)::numeric, 3) AS norm FROM shots ORDER BY frame;
-- and as one vector, the direction of their mean
CREATE TABLE clips (id int PRIMARY KEY, animation bytea, embedding vector(256));
INSERT INTO clips
SELECT 1, :'gif', l2_normalize(avg(clip_embed_image(f.image))) FROM unnest(clip_image_frames(:'gif', 8)) f(image);
SELECT round(vector_norm(c.embedding)::numeric, 3) AS norm, bool_and(c.embedding <=> s.embedding < 0.5) AS near
FROM clips c, shots s GROUP BY c.embedding;

-- the skeleton of a raw file: a directory with a JPEG
\set raw '\\x4949524f08000000020001020400010000002600000002020400010000009f00000000000000ffd8ffe000104a46494600010100000100010000ffdb004300100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc0000b080008000801011100ffc40014000100000000000000000000000000000005ffc40014100100000000000000000000000000000000ffda0008010100003f0031ffd9'
SELECT octet_length(clip_image_preview(:'raw')) AS bytes, clip_image_preview(:'raw') = substr(:'raw'::bytea, 39) AS part;
SELECT vector_dims(clip_embed_image(clip_image_preview(:'raw'))) > 0 AS embedded;
SELECT clip_embed_image(:'raw');
\set VERBOSITY default
SELECT clip_embed_image(:'raw');
\set VERBOSITY terse
-- no raw file, or nothing in it
SELECT clip_image_preview(:'gif') IS NULL AS none, coalesce(clip_image_preview(:'gif'), :'gif') = :'gif' AS itself,
	clip_image_preview(substr(:'raw'::bytea, 1, 60)) IS NULL AS cut, clip_image_preview(NULL) IS NULL AS null_image;
SELECT clip_image_preview('\x00');
DROP TABLE shots, clips;
