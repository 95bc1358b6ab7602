-- The OpenAPI document that openapi() makes for PostgREST's db-root-spec: it shows
-- a role what that role may do, and nothing else.

SET client_min_messages = warning;
CREATE EXTENSION jwt_auth CASCADE;
CREATE ROLE regress_reader;
CREATE ROLE regress_writer;
CREATE SCHEMA "Regress api";
COMMENT ON SCHEMA "Regress api" IS 'Books';
GRANT USAGE ON SCHEMA "Regress api" TO regress_reader, regress_writer;
SET search_path = "Regress api";

CREATE DOMAIN isbn AS text;
CREATE TYPE kind AS ENUM ('prose', 'verse');
CREATE TABLE "Books" (
	id int NOT NULL,
	"the title" text NOT NULL,
	isbn isbn,
	kind kind NOT NULL DEFAULT 'prose',
	pages smallint[] NOT NULL,
	dropped int,
	secret text,
	more jsonb,
	price numeric(10, 2),
	bought_at timestamptz,
	owner uuid,
	lent boolean
) PARTITION BY LIST (kind);
ALTER TABLE "Books" DROP COLUMN dropped;
CREATE TABLE prose PARTITION OF "Books" FOR VALUES IN ('prose');
COMMENT ON TABLE "Books" IS E'All books\n\nBut one.';
COMMENT ON COLUMN "Books"."the title" IS 'As on the "cover"';
CREATE VIEW titles AS SELECT "the title" FROM "Books";
CREATE TABLE hidden (id int);
GRANT SELECT (id, "the title", isbn, kind, pages, more, price, bought_at, owner, lent) ON "Books" TO regress_reader;
GRANT SELECT ON titles TO regress_reader;
GRANT INSERT, UPDATE ("the title"), DELETE ON "Books" TO regress_writer;
GRANT ALL ON prose TO regress_reader;

CREATE FUNCTION search(words text, kinds kind[] DEFAULT NULL, OUT n int, OUT title text) RETURNS SETOF record
LANGUAGE sql STABLE AS $$ SELECT 1, '' $$;
CREATE FUNCTION lend(id int, "to whom" text, until date DEFAULT NULL) RETURNS void LANGUAGE sql AS $$ SELECT $$;
COMMENT ON FUNCTION lend IS E'Lend a book\n\nUntil it is back.\nOr not.';
CREATE FUNCTION any_number(VARIADIC numbers int[]) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;
CREATE FUNCTION no_arguments() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION unnamed(int) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
CREATE FUNCTION hook() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION not_for_readers() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;
REVOKE ALL ON FUNCTION not_for_readers() FROM PUBLIC;
CREATE PROCEDURE a_procedure() LANGUAGE sql AS $$ SELECT $$;
RESET search_path;

CREATE FUNCTION pg_temp.operations() RETURNS TABLE (path text, method text, operation jsonb) LANGUAGE sql AS $$
SELECT path, method, operation - 'responses'
FROM jsonb_each(auth.openapi('Regress api') -> 'paths') p (path, item), jsonb_each(item) o (method, operation)
ORDER BY path COLLATE "C", method COLLATE "C"
$$;

SET ROLE regress_reader;
\pset format unaligned
SELECT jsonb_pretty(auth.openapi('Regress api') - 'paths');
SELECT * FROM pg_temp.operations();
SET ROLE regress_writer;
SELECT * FROM pg_temp.operations() WHERE path NOT LIKE '/rpc/%';
RESET ROLE;
\pset format aligned
SELECT auth.openapi('nowhere') IS NULL AS nothing, auth.openapi(NULL) IS NULL AS nothing;

-- Where a proxy puts it
SET jwt_auth.base_path = '/books/';
SELECT d -> 'servers' AS servers, d #>> '{components,securitySchemes,password,flows,password,tokenUrl}' AS token
FROM auth.openapi('Regress api') d;

DROP SCHEMA "Regress api" CASCADE;
DROP EXTENSION jwt_auth, pgcrypto;
DROP SCHEMA auth;
DROP ROLE regress_reader, regress_writer;
