// Two people with the notes application in two browsers, and a third browser that
// is one of theirs: what test/t/036_notes.pl reports.
//
// Usage: notes.mjs LIBRARIES API: the directory that test/interop/libraries
// prints, and PostgREST's address.  Prints a line of JSON for each check.

import { createRequire } from 'node:module';

const [, , libraries, api] = process.argv;
const { chromium } = createRequire(`${libraries}/`)('playwright-core');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });

function check(ok, name, details) {
	console.log(JSON.stringify({ ok: !!ok, name, details }));
}

// A browser of its own, with what it was answered and what went wrong in it.
async function open() {
	const context = await browser.newContext();
	const page = await context.newPage();

	page.answers = [];
	page.errors = [];
	page.on('response', (r) => page.answers.push(`${r.request().method()} ${new URL(r.url()).pathname} ${r.status()}`));
	page.on('pageerror', (e) => page.errors.push(e.message));
	page.on('console', (m) => m.type() === 'error' && page.errors.push(m.text()));
	page.setDefaultTimeout(20000);
	await page.goto(`${api}/rpc/app`);
	await page.waitForSelector('#welcome');
	return page;
}

async function signIn(page, email, button) {
	await page.fill('[name=email]', email);
	await page.fill('[name=password]', 'correct horse battery');
	await page.click(`button[value=${button}]`);
	await page.waitForSelector('#desk');
}

async function write(page, text, shared) {
	const before = await page.locator('.note').count();

	await page.fill('textarea', text);
	await page.setChecked('[name=shared]', !!shared);
	await page.click('#write button');
	await page.waitForFunction((n) => document.querySelectorAll('.note').length > n, before);
}

const notes = (page) => page.locator('.note .body').allTextContents();
const cookies = async (page) => (await page.context().cookies()).map((c) => c.name).sort();
const told = async (page, text) => page.waitForFunction((t) => document.getElementById('message').textContent === t, text);
const answered = (page, what) => page.answers.filter((a) => a === what).length;

// --- each their own notes, and what the other shares --------------------------

const ann = await open();
const bob = await open();

check(ann.errors.length === 0, 'the page opens without an error', ann.errors);
await signIn(ann, 'ann@example.org', 'register');
await signIn(bob, 'bob@example.org', 'register');
await write(ann, 'only Ann sees this');
await write(ann, '<img src="x" onerror="document.title = \'taken\'"> for everybody', true);
await write(bob, 'only Bob sees this');
check((await notes(ann)).length === 2, 'Ann sees her notes');
check((await notes(bob)).length === 2 && !(await notes(bob)).join().includes('only Ann'), 'Bob sees his, and the one that Ann shares', await notes(bob));
check(await bob.locator('.of-others .delete').isHidden(), 'which he is not offered to delete');
check((await bob.title()) === 'Notes', 'and whose markup is text');

// --- what a script in the page could take --------------------------------------

const visible = await ann.evaluate(() => [document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage)].join());
check(!visible.includes('eyJ') && visible.includes('-csrf='), 'no script can read a token');
check((await ann.context().cookies()).every((c) => c.secure && c.sameSite === 'Strict' && (c.httpOnly || c.name.endsWith('-csrf'))),
	'the cookies are Secure, SameSite and HttpOnly');

const status = (page, method, path, headers, body) => page.evaluate(async (a) =>
	(await fetch('../' + a.path, { method: a.method, headers: { 'Content-Type': 'application/json', ...a.headers }, body: a.body && JSON.stringify(a.body) })).status,
	{ method, path, headers, body });
check(await status(ann, 'POST', 'notes', {}, { body: 'forged' }) === 403, 'a write without the CSRF token is refused');
check(await status(ann, 'POST', 'notes', { 'X-CSRF-Token': 'guess' }, { body: 'forged' }) === 403, 'so is one with another');
check(await status(ann, 'GET', 'notes') === 200, 'reading needs none');

const csrf = (page) => page.evaluate(() => document.cookie.split('-csrf=')[1]);
const annsId = (await bob.evaluate(async () => (await (await fetch('../notes?shared=is.true')).json())[0])).owner;
const forged = await status(bob, 'POST', 'notes', { 'X-CSRF-Token': await csrf(bob) }, { body: 'forged', owner: annsId });
// PostgREST, which knows nothing of cookies, takes Bob for nobody
check(forged === 401, 'Bob writes nothing in the name of Ann', forged);
await status(bob, 'DELETE', `notes?owner=eq.${annsId}`, { 'X-CSRF-Token': await csrf(bob) });
await ann.reload();
await ann.waitForSelector('.note');
check((await notes(ann)).length === 2, 'nor does he delete hers; and after a reload she is still signed in', await notes(ann));

// --- a token that expires under them ---------------------------------------------

// As long as the tokens live, and some more
const refreshes = answered(ann, 'POST /rpc/refresh 200');
await ann.waitForTimeout(6000);
check(answered(ann, 'POST /rpc/refresh 200') > refreshes, 'the page has renewed its tokens by itself');
await write(ann, 'after all this time');
check((await notes(ann)).length === 3, 'so that Ann just goes on');
await ann.goto('about:blank');
await ann.waitForTimeout(5000);
await ann.goto(`${api}/rpc/app`);
check(await ann.waitForSelector('.note').catch(() => false), 'who comes back later finds the page, and is still signed in', ann.answers.slice(-5));
await bob.context().clearCookies({ name: '__Host-jwt_auth' });
bob.answers.length = 0;
await write(bob, 'without an access token');
check(bob.answers.join().startsWith('POST /notes 401,POST /rpc/refresh 200,POST /notes 201'), 'where it has gone all the same, the request is sent again with another', bob.answers);

// --- a session that is ended from elsewhere --------------------------------------

const phone = await open();
await signIn(phone, 'ann@example.org', 'login');
await ann.click('#show-sessions');
await ann.waitForSelector('#session-list li:nth-child(2)');
await ann.locator('#session-list .end:visible').click();
await ann.waitForFunction(() => document.querySelectorAll('#session-list li').length === 1);
await ann.click('dialog form button');
await phone.fill('textarea', 'from the phone');
await phone.click('#write button');
await told(phone, 'You have been signed out.');
check(await phone.isVisible('#welcome') && (await phone.locator('.note').count()) === 0, 'a session ended from elsewhere shows nothing any more');
check((await cookies(phone)).length === 0, 'and leaves no cookie', await cookies(phone));
await write(ann, 'the other one goes on');
check(await ann.isVisible('#desk'), 'the one that ended it goes on');

await signIn(phone, 'ann@example.org', 'login');
await ann.click('#show-sessions');
await ann.click('#sign-out-everywhere');
await told(ann, 'You are signed out everywhere.');
check((await cookies(ann)).length === 0, 'signing out everywhere takes the cookies back', await cookies(ann));
await phone.locator('.delete:visible').first().click();
await told(phone, 'You have been signed out.');
check(true, 'everywhere is everywhere');
await write(bob, 'still here');
check(await bob.isVisible('#desk'), 'but of one person');
await bob.click('#sign-out');
await bob.waitForSelector('#welcome');
check((await cookies(bob)).length === 0, 'who signs out alone');

await browser.close();
