// What test/t/032_clients.pl puts below the code of docs/clients.md.

const sees = (token) => signedIn(pool, token, async (client) =>
	(await client.query('SELECT body FROM notes')).rows.map((row) => row.body));

console.log(JSON.stringify({
	notes: notes.rows.map((row) => row.body),
	refreshed: (await sees(tokens.access_token)).length === notes.rows.length,
	nobody: await ask(pool, 'auth.uid()'),
	refused: await sees('x').catch((error) => error.code),
	still: (await sees(tokens.access_token)).length,
	wrong_password: (await login(pool, 'ann@example.com', 'wrong')).error_code,
	wrong_token: (await refresh(pool, 'x')).error_code,
}));
await pool.end();
