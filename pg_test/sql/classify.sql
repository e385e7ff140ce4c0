-- Zero-shot classification: labels with probabilities, the most probable first.
\set square 'decode(''424d4600000000000000360000002800000002000000020000000100180000000000100000000000000000000000000000000000000000000000ff00000000ff00000000'', ''hex'')'
SELECT count(*), abs(sum(probability) - 1) < 1e-5 AS sum_is_one, bool_and(probability BETWEEN 0 AND 1) AS in_range, bool_and(sorted) AS sorted
FROM (SELECT probability, probability <= coalesce(lag(probability) OVER (), 1) AS sorted FROM clip_classify(:square, ARRAY['cat', 'airplane', 'red square', 'banana'])) q;
SELECT label FROM clip_classify(:square, ARRAY['b', 'a', 'c']) ORDER BY label;
-- one label is certain; labels that are one text to the model share, in the order given
SELECT label, probability FROM clip_classify(:square, ARRAY['cat']);
SELECT label, round(probability::numeric, 3) AS probability FROM clip_classify(:square, ARRAY['cat', 'Cat', 'CAT', 'cat']);

-- the definition: softmax of the cosines times the model's own scale, which any two labels give away
WITH labels AS (SELECT ARRAY['cat', 'airplane', 'banana'] AS l),
	p AS (SELECT label, ln(probability::float8) AS log_p, -(clip_embed_image(:square) <=> clip_embed_text('a photo of a ' || label)) AS cosine
		FROM labels, clip_classify(:square, l))
SELECT count(*) AS pairs, bool_and(scale > 1) AS scaled, max(scale) / min(scale) < 1.01 AS one_scale
FROM (SELECT (a.log_p - b.log_p) / (a.cosine - b.cosine) AS scale FROM p a JOIN p b ON a.label < b.label) q;
-- the template is part of the text
SELECT sum(abs(a.probability - b.probability)) > 0.001 AS template_matters
FROM clip_classify(:square, ARRAY['cat', 'banana']) a JOIN clip_classify(:square, ARRAY['cat', 'banana'], '{}') b USING (label);
SELECT bool_and(a.probability = b.probability) AS default_template
FROM clip_classify(:square, ARRAY['cat', 'banana']) a JOIN clip_classify(:square, ARRAY['cat', 'banana'], template => 'a photo of a {}', model => 'pictograms') b USING (label);
-- labels come back as they were given
SELECT '[' || label || ']' AS label FROM clip_classify(:square, ARRAY[' Über {} Cat ']);

-- nothing in, nothing out
SELECT count(*) FROM clip_classify(:square, '{}');
SELECT count(*) FROM clip_classify(NULL, ARRAY['cat']);
SELECT count(*) FROM clip_classify(:square, NULL);
SELECT count(*) FROM clip_classify(:square, ARRAY['cat'], NULL);
-- per row, and through LATERAL
SELECT n, count(*), max(probability) > 0 AS positive FROM generate_series(1, 3) n, LATERAL clip_classify(:square, ARRAY['cat', 'dog ' || n]) GROUP BY n ORDER BY n;

-- refused
\set VERBOSITY terse
SELECT * FROM clip_classify(:square, ARRAY['cat', NULL]);
SELECT * FROM clip_classify(:square, ARRAY['cat'], 'a photo');
SELECT * FROM clip_classify('\x00', ARRAY['cat']);
SELECT * FROM clip_classify(:square, ARRAY['cat'], model => 'no-such-model');
SELECT * FROM clip_classify(:square, (SELECT array_agg('x' || i) FROM generate_series(1, 16385) i));
\set VERBOSITY sqlstate
SELECT * FROM clip_classify(:square, ARRAY['cat', NULL]);
SELECT * FROM clip_classify(:square, ARRAY['cat'], 'a photo');
SELECT * FROM clip_classify('\x00', ARRAY['cat']);
