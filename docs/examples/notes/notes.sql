-- The notes application, after CREATE EXTENSION jwt_auth and auth.create_api().
-- Run it in its own directory: psql -f notes.sql
\set ON_ERROR_STOP on
\set index `cat index.html`
\set script `cat notes.js`
\set style `cat notes.css`
BEGIN;

-- Browsers keep the tokens in cookies.
SELECT auth.set_client('default', cookies => true);

-- Whose note it is, and by whom it says it is, is the token's to say.
CREATE TABLE api.notes (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	owner uuid NOT NULL DEFAULT auth.uid() REFERENCES auth.users (id) ON DELETE CASCADE,
	author text NOT NULL DEFAULT auth.email(),
	body text NOT NULL CHECK (length(body) BETWEEN 1 AND 2000),
	shared boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON api.notes (owner);
COMMENT ON TABLE api.notes IS 'Notes: one''s own, and what others share';

-- All access control there is: people read their own notes and those that are
-- shared, and write in their own name alone.
ALTER TABLE api.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON api.notes FOR SELECT USING (owner = auth.uid() OR shared);
CREATE POLICY written ON api.notes FOR INSERT WITH CHECK (owner = auth.uid() AND author = auth.email());
CREATE POLICY changed ON api.notes FOR UPDATE USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
CREATE POLICY deleted ON api.notes FOR DELETE USING (owner = auth.uid());
GRANT SELECT, INSERT (body, shared), UPDATE (body, shared), DELETE ON api.notes TO authenticated;

-- The page itself: its files are rows, and PostgREST serves them.
CREATE SCHEMA app;
CREATE TABLE app.files (name text PRIMARY KEY, content_type text NOT NULL, content text NOT NULL);
INSERT INTO app.files VALUES
	('index.html', 'text/html; charset=utf-8', :'index'),
	('notes.js', 'text/javascript; charset=utf-8', :'script'),
	('notes.css', 'text/css; charset=utf-8', :'style');

-- PostgREST's name for "any media type": the function says which.
CREATE DOMAIN api."*/*" AS text;
CREATE FUNCTION api.app(file text DEFAULT 'index.html') RETURNS api."*/*"
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found app.files;
BEGIN
	SELECT * INTO found FROM app.files f WHERE f.name = app.file;
	PERFORM set_config('response.status', CASE WHEN found IS NULL THEN '404' ELSE '200' END, true),
			set_config('response.headers', jsonb_build_array(
				jsonb_build_object('Content-Type', coalesce(found.content_type, 'text/plain')),
				jsonb_build_object('Content-Security-Policy', 'default-src ''self''; img-src data:; frame-ancestors ''none''; base-uri ''none''; form-action ''none'''),
				jsonb_build_object('X-Content-Type-Options', 'nosniff'),
				jsonb_build_object('Referrer-Policy', 'same-origin'))::text, true);
	RETURN coalesce(found.content, 'There is no such file.');
END
$$;
COMMENT ON FUNCTION api.app(text) IS 'The notes application: a page for a browser';
REVOKE ALL ON FUNCTION api.app(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION api.app(text) TO anon, authenticated;

NOTIFY pgrst, 'reload schema';
COMMIT;
