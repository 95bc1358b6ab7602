// The notes application.  The tokens are in cookies that no script can read; this
// page knows only who is signed in and for how long.

const $ = (id) => document.getElementById(id);
const CSRF_COOKIE = '__Host-jwt_auth-csrf';
const RENEW_EARLY = 0.8;	// of a token's lifetime
let user;	// whoever is signed in
let renewal;

function cookie(name) {
	return document.cookie.split('; ').find((c) => c.startsWith(name + '='))?.slice(name.length + 1);
}

class Refused extends Error {
	constructor(status, answer) {
		super(answer?.error_description ?? answer?.message ?? 'The server does not answer.');
		this.status = status;
	}
}

// One request to PostgREST.  A write shows that it comes from this page by the
// token that stands in a cookie which other sites cannot read.
async function send(method, path, body) {
	const headers = { Accept: 'application/json', 'X-CSRF-Token': cookie(CSRF_COOKIE) ?? '' };
	if (body !== undefined)
		headers['Content-Type'] = 'application/json';
	const response = await fetch('../' + path, { method, headers, body: body && JSON.stringify(body) });
	const answer = await response.json().catch(() => undefined);
	if (!response.ok)
		throw new Refused(response.status, answer);
	return answer;
}

// The same as whoever is signed in: an expired token is renewed, and the request
// sent once more.
async function request(method, path, body) {
	try {
		return await send(method, path, body);
	} catch (error) {
		if (error.status !== 401 || !user)
			throw error;
		await renew();
		return send(method, path, body);
	}
}

// Trades the refresh token, which is in its cookie, for new ones; one tab at a time.
function refresh() {
	return navigator.locks.request('refresh', () => send('POST', 'rpc/refresh', {}));
}

async function renew() {
	try {
		welcome(await refresh());
	} catch {
		leave();
		throw new Error('You have been signed out.');
	}
}

function welcome(answer) {
	user = answer.user;
	$('email').textContent = user.email;
	clearTimeout(renewal);
	renewal = setTimeout(() => renew().catch((error) => say(error.message)), answer.expires_in * 1000 * RENEW_EARLY);
	show();
}

function leave() {
	user = undefined;
	clearTimeout(renewal);
	$('sessions').close();
	$('notes').replaceChildren();
	show();
}

function show() {
	$('account').hidden = $('desk').hidden = !user;
	$('welcome').hidden = !!user;
}

function say(text) {
	$('message').textContent = text ?? '';
	$('message').hidden = !text;
}

// Runs what a button or form does, and says what went wrong.
function on(element, event, action) {
	element.addEventListener(event, async (e) => {
		e.preventDefault();
		say();
		try {
			await action(e);
		} catch (error) {
			say(error.message);
		}
	});
}

function fill(list, template, rows, each) {
	$(list).replaceChildren(...rows.map((row) => {
		const item = $(template).content.firstElementChild.cloneNode(true);
		each(item, row, (name) => item.querySelector('.' + name));
		return item;
	}));
}

function ago(time) {
	return new Date(time).toLocaleString(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
}

async function showNotes() {
	const notes = await request('GET', 'notes?order=created_at.desc');
	fill('notes', 'note', notes, (item, note, part) => {
		const own = note.owner === user.id;
		part('body').textContent = note.body;
		part('by').textContent = [own ? (note.shared ? 'shared' : 'only you') : note.author, ago(note.created_at)].join(' · ');
		item.classList.toggle('of-others', !own);
		part('delete').hidden = !own;
		on(part('delete'), 'click', async () => {
			await request('DELETE', `notes?id=eq.${note.id}`);
			await showNotes();
		});
	});
	$('empty').hidden = notes.length > 0;
}

async function showSessions() {
	const sessions = await request('GET', 'rpc/sessions');
	fill('session-list', 'session', sessions, (item, session, part) => {
		part('device').textContent = session.is_current ? 'This device' : session.user_agent?.split(' ')[0] ?? 'A device';
		part('when').textContent = [`last used ${ago(session.last_used_at)}`, session.ip].filter(Boolean).join(' · ');
		part('end').hidden = session.is_current;
		on(part('end'), 'click', async () => {
			await request('POST', 'rpc/revoke_session', { session_id: session.session_id });
			await showSessions();
		});
	});
	if (!$('sessions').open)
		$('sessions').showModal();
}

on($('sign-in'), 'submit', async (e) => {
	const { email, password } = Object.fromEntries(new FormData(e.target));
	if (e.submitter?.value === 'register')
		await send('POST', 'rpc/register', { email, password });
	welcome(await send('POST', 'rpc/login', { email, password }));
	e.target.reset();
	await showNotes();
});

on($('write'), 'submit', async (e) => {
	await request('POST', 'notes', { body: e.target.elements.body.value, shared: e.target.elements.shared.checked });
	e.target.reset();
	await showNotes();
});

on($('show-sessions'), 'click', showSessions);

on($('sign-out'), 'click', async () => {
	await request('POST', 'rpc/logout', { scope: 'session' });
	leave();
});

on($('sign-out-everywhere'), 'click', async () => {
	await request('POST', 'rpc/logout', { scope: 'all' });
	leave();
	say('You are signed out everywhere.');
});

// What others have written, when one comes back to the page.
on(document, 'visibilitychange', async () => {
	if (user && document.visibilityState === 'visible')
		await showNotes();
});

// Whoever was here before is still signed in, if the refresh cookie says so.
try {
	if (cookie(CSRF_COOKIE)) {
		welcome(await refresh());
		await showNotes();
	}
} catch {
	leave();
}
show();
