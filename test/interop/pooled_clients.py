#!/usr/bin/python3
# Many clients of a transaction pooler, of several people, who do what real ones
# do and what they should not.  Each looks at every answer: is it mine?
#
# Usage: pooled_clients.py CONNINFO CLIENTS SECONDS <people.json
#
# people.json: [{"id", "token", "ended"}]: a user, an access token, and one whose
# session has ended.  Every user owns the rows of "notes" with their id as body.
# Prints {"done": {what: times}, "wrong": [what was seen that must not be]}.

import collections
import json
import os
import random
import socket
import sys
import threading
import time

import psycopg

conninfo, clients, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
people = json.load(sys.stdin)
deadline = time.monotonic() + seconds
done = collections.Counter()
wrong = []
lock = threading.Lock()


class Client(threading.Thread):
    def __init__(self, number):
        super().__init__(daemon=True)
        self.random = random.Random(number)
        self.number = number
        self.connection = None

    def run(self):
        while time.monotonic() < deadline:
            me, other = self.random.sample(people, 2)
            deed = self.random.choice(DEEDS)
            try:
                if self.connection is None or self.connection.closed:
                    # Before version 1.21, pgbouncer knows nothing of prepared statements.
                    self.connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
                self.is_nobody(f'before {deed.__name__}')
                deed(self, me, other)
                with lock:
                    done[deed.__name__] += 1
            except Exception as error:
                self.complain(f'{deed.__name__}: {type(error).__name__}: {error}')
                self.connection.close()

    def complain(self, what):
        with lock:
            wrong.append(f'client {self.number}: {what}')

    def query(self, command, *parameters):
        return self.connection.execute(command, parameters).fetchall()

    def execute(self, command):
        self.connection.execute(command)

    def fails(self, sqlstate, command, *parameters):
        try:
            self.query(command, *parameters)
            self.complain(f'{command}: no error')
        except psycopg.Error as error:
            if error.sqlstate != sqlstate:
                self.complain(f'{command}: {error.sqlstate} {error}')

    def expect(self, rows, expected, when):
        if rows != expected:
            self.complain(f'{when}: {rows!r:.200} and not {expected!r:.200}')

    # Every way to read rows, in any order, sees those of this person (None: nobody).
    def sees(self, person, when):
        own = [(person['id'], person['id'])] * 3 if person else []
        ways = [
            'SELECT owner::text, body FROM notes',
            'SELECT owner::text, body FROM cached_notes()',
            'SELECT owner::text, body FROM notes WHERE pg_backend_pid() > 0 OFFSET 0']
        self.random.shuffle(ways)
        mode = self.random.choice(['auto', 'force_generic_plan', 'force_custom_plan'])
        self.execute(f'SET LOCAL plan_cache_mode = {mode}')
        self.expect(self.query('SELECT auth.uid()::text'), [(person and person['id'],)], f'uid() {when}')
        for way in ways:
            self.expect(self.query(way), own, f'{way} {when}')
        # Left behind on the server's connection for whoever comes next, plan and all
        if not self.query("SELECT FROM pg_prepared_statements WHERE name = 'left_behind'"):
            self.execute('PREPARE left_behind AS SELECT owner::text, body FROM notes')
        self.expect(self.query('EXECUTE left_behind'), own, f'a prepared statement {when}')
        # Starting a worker takes as long as all the rest
        if self.random.random() < 0.2:
            self.execute(f'SET LOCAL {PARALLEL} = on')
            self.expect(self.query('SELECT owner::text, auth.claim(%s) FROM notes', 'sub'), own, f'in parallel {when}')
            self.execute(f'SET LOCAL {PARALLEL} = off')

    def is_nobody(self, when):
        self.expect(self.query('SELECT auth.uid()::text, auth.jwt(), auth.email()'), [(None, None, None)], when)
        self.expect(self.query('SELECT body FROM notes'), [], when)

    def sign_in(self, person):
        self.query('SELECT auth.authenticate(%s)', person['token'])

    # --- what a request may be ------------------------------------------------

    def reads(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.sees(me, 'after authenticate()')
        self.execute('COMMIT')

    def reads_at_repeatable_read(self, me, other):
        self.execute('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
        self.sign_in(me)
        self.sees(me, 'at REPEATABLE READ')
        self.execute('ROLLBACK')

    def is_anonymous(self, me, other):
        self.execute('BEGIN')
        self.sees(None, 'without a token')
        self.execute('COMMIT')

    def writes(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.expect(self.query('INSERT INTO notes (body) VALUES (%s) RETURNING owner::text', me['id']),
                    [(me['id'],)], 'INSERT')
        self.fails('42501', 'INSERT INTO notes (owner, body) VALUES (%s, %s) RETURNING 1', other['id'], other['id'])
        self.execute('ROLLBACK')

    def sets_a_token(self, me, other):
        self.execute('BEGIN')
        self.query("SELECT set_config('jwt_auth.token', %s, true)", me['token'])
        self.sees(me, 'with a token in a setting')
        self.sign_in(other)
        self.sees(other, 'with a token in a setting, and authenticate()')
        self.execute('COMMIT')

    def sets_a_bad_token(self, me, other):
        self.execute('BEGIN')
        self.query("SELECT set_config('jwt_auth.token', %s, true)", self.random.choice([me['ended'], me['token'] + 'x', 'x']))
        self.fails('28000', self.random.choice(['SELECT auth.uid()', 'SELECT body FROM notes']))
        self.execute('COMMIT')

    def changes_its_mind(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.execute('SAVEPOINT s')
        self.sign_in(other)
        self.sees(other, 'after a savepoint')
        self.execute('ROLLBACK TO s')
        self.sees(me, 'after ROLLBACK TO')
        self.sign_in(other)
        self.sees(other, 'after another authenticate()')
        self.execute('COMMIT')

    def makes_an_error(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.fails('22012', 'SELECT 1 / count(*) FROM notes WHERE false')
        self.fails('25P02', 'SELECT auth.uid()')
        self.execute(self.random.choice(['COMMIT', 'ROLLBACK']))

    def recovers_from_an_error(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.execute('SAVEPOINT s')
        self.fails('22012', 'SELECT 1 / count(*) FROM notes WHERE false')
        self.execute('ROLLBACK TO s')
        self.sees(me, 'after an error')
        self.execute('COMMIT')

    def is_refused(self, me, other):
        self.execute('BEGIN')
        self.sign_in(other)
        self.execute('SAVEPOINT s')
        self.fails('28000', 'SELECT auth.authenticate(%s)', self.random.choice([me['ended'], me['token'] + 'x', 'x']))
        self.execute('ROLLBACK TO s')
        self.sees(None, 'after a token that was refused')
        self.sign_in(me)
        self.sees(me, 'after another token')
        self.execute('COMMIT')

    def forgets_the_transaction(self, me, other):
        self.sign_in(me)

    def is_cancelled(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        # A request to cancel may come before there is something to cancel.
        self.execute('SET LOCAL statement_timeout = 5000')
        timer = threading.Timer(self.random.uniform(0.01, 0.05), self.connection.cancel)
        timer.start()
        try:
            self.query('SELECT pg_sleep(60), body FROM notes')
            self.complain('a query was not cancelled')
        except psycopg.errors.QueryCanceled:
            pass
        timer.join()
        self.execute('ROLLBACK')

    def times_out(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.execute('SET LOCAL statement_timeout = 20')
        self.fails('57014', 'SELECT pg_sleep(60), body FROM notes')
        self.execute('ROLLBACK')

    def hangs_up(self, me, other):
        self.execute('BEGIN')
        self.sign_in(me)
        self.sees(me, 'before hanging up')
        # Not so much as a farewell
        with socket.socket(fileno=os.dup(self.connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
        self.connection.close()


DEEDS = [
    Client.reads, Client.reads, Client.reads_at_repeatable_read, Client.is_anonymous, Client.writes,
    Client.sets_a_token, Client.sets_a_bad_token, Client.changes_its_mind, Client.makes_an_error, Client.recovers_from_an_error, Client.is_refused,
    Client.forgets_the_transaction, Client.is_cancelled, Client.times_out, Client.hangs_up]

with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as first:
    PARALLEL = first.execute(
        "SELECT name FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')").fetchone()[0]

threads = [Client(number) for number in range(clients)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
json.dump({'done': done, 'wrong': wrong}, sys.stdout)
