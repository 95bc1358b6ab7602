-- What jwt_try_verify says of the cases on standard input, as lines of JSON:
-- psql -X -q -f judge.sql.  The extension is there.
\set ON_ERROR_STOP on
CREATE TEMP TABLE line (n serial, text text);

-- A key or list of algorithms that is no good is raised: refused as well, in
-- words instead of a reason.  Any other error is one.
CREATE FUNCTION pg_temp.judge(c jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN to_jsonb(v) FROM auth.jwt_try_verify(c ->> 'token', c -> 'key',
		CASE WHEN c -> 'given' <> 'null' THEN ARRAY(SELECT jsonb_array_elements_text(c -> 'given')) END,
		c ->> 'issuer', c ->> 'audience', at_time => to_timestamp((c ->> 'now')::float)) AS v;
EXCEPTION WHEN invalid_parameter_value OR feature_not_supported THEN
	RETURN jsonb_build_object('valid', false, 'error', SQLERRM);
END
$$;

-- as CSV whose delimiter and quote do not occur, a line is one text
\copy line (text) FROM pstdin WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
CREATE TEMP TABLE verdict AS SELECT n, pg_temp.judge(text::jsonb) AS verdict FROM line;
\copy (SELECT verdict::text FROM verdict ORDER BY n) TO pstdout WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
