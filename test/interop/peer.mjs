// Does with jose and jsonwebtoken what it is told: see peer.py, which takes the
// same tasks and gives the same answers.  Its argument is the directory that
// test/interop/libraries prints.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import crypto from 'node:crypto';
import readline from 'node:readline';

// Node 18 has it, but not where jose looks for it
globalThis.crypto ??= crypto.webcrypto;

const require = createRequire(`${process.argv[2]}/`);
const jsonwebtoken = require('jsonwebtoken');
const jose = await import(pathToFileURL(require.resolve('jose')));

const isPem = (key) => typeof key === 'string';
const isPrivatePem = (key) => key.includes('PRIVATE KEY');
const isSecret = (key) => key.kty === 'oct';

// Loading a key takes far longer than using it: each is loaded once
function remember(load) {
	const known = new Map();
	return async (key, algorithm) => {
		const name = JSON.stringify([key, algorithm]);
		if (!known.has(name)) {
			if (known.size > 1000) known.clear();
			known.set(name, await load(key, algorithm));
		}
		return known.get(name);
	};
}

const joseKey = remember((key, algorithm) => {
	if (!isPem(key)) return jose.importJWK(key, algorithm, { extractable: true });
	return (isPrivatePem(key) ? jose.importPKCS8 : jose.importSPKI)(key, algorithm, { extractable: true });
});

// A set knows what "use", "key_ops", "alg" and "kid" of its keys mean, but has
// no room for secrets
const joseVerifier = remember((key, algorithm) => {
	if (isPem(key) || isSecret(key)) return joseKey(key, algorithm);
	return jose.createLocalJWKSet(key.keys ? key : { keys: [key] });
});

const nodePrivateKey = remember((key) => {
	if (isPem(key)) return crypto.createPrivateKey(key);
	if (isSecret(key)) return crypto.createSecretKey(Buffer.from(key.k, 'base64url'));
	return crypto.createPrivateKey({ key, format: 'jwk' });
});

const nodePublicKey = remember((key) => {
	if (isPem(key)) return crypto.createPublicKey(key);
	if (isSecret(key)) return crypto.createSecretKey(Buffer.from(key.k, 'base64url'));
	return crypto.createPublicKey({ key, format: 'jwk' });
});

const seconds = (now) => now ?? Math.floor(Date.now() / 1000);

// jose takes a key for one algorithm, which the tasks of keys do not all name
function algorithmOf(key) {
	const curves = { 'P-256': 'ES256', 'P-384': 'ES384', 'P-521': 'ES512', Ed25519: 'EdDSA' };
	if (isPem(key)) {
		const { asymmetricKeyType, asymmetricKeyDetails } =
			isPrivatePem(key) ? crypto.createPrivateKey(key) : crypto.createPublicKey(key);
		if (asymmetricKeyType === 'rsa') return 'RS256';
		if (asymmetricKeyType === 'ed25519') return 'EdDSA';
		return { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }[asymmetricKeyDetails?.namedCurve];
	}
	return { oct: 'HS256', RSA: 'RS256' }[key.kty] ?? curves[key.crv];
}

// The JWK of a key, public or not
const withoutPrivate = ({ d, p, q, dp, dq, qi, ...rest }) => rest;

const libraries = {
	jose: {
		async forms(key) {
			const jwk = await jose.exportJWK(key);
			const answer = { thumbprint: await jose.calculateJwkThumbprint(jwk) };
			if (isSecret(jwk)) return { ...answer, private: jwk };
			if (jwk.d !== undefined) {
				answer.private = jwk;
				answer.private_pem = await jose.exportPKCS8(key);
				key = await joseKey(withoutPrivate(jwk), algorithmOf(jwk));
			}
			return { ...answer, public: withoutPrivate(jwk), public_pem: await jose.exportSPKI(key) };
		},
		async make({ algorithm, curve }) {
			if (algorithm.startsWith('HS')) return this.forms(await jose.generateSecret(algorithm, { extractable: true }));
			const { privateKey } = await jose.generateKeyPair(algorithm, { crv: curve, extractable: true });
			return this.forms(privateKey);
		},
		async convert({ key }) {
			return this.forms(await joseKey(key, algorithmOf(key)));
		},
		async sign({ key, algorithm, payload }) {
			return new jose.SignJWT(payload).setProtectedHeader({ alg: algorithm }).sign(await joseKey(key, algorithm));
		},
		async verify({ key, token, algorithms, issuer, audience, now }) {
			const options = { algorithms, currentDate: new Date(1000 * seconds(now)) };
			if (issuer != null) options.issuer = issuer;
			if (audience != null) options.audience = audience;
			return (await jose.jwtVerify(token, await joseVerifier(key, algorithms[0]), options)).payload;
		},
	},
	jsonwebtoken: {
		async sign({ key, algorithm, payload }) {
			return jsonwebtoken.sign(payload, await nodePrivateKey(key), { algorithm, noTimestamp: true });
		},
		async verify({ key, token, algorithms, issuer, audience, now }) {
			const options = { algorithms, clockTimestamp: seconds(now) };
			if (issuer != null) options.issuer = issuer;
			if (audience != null) options.audience = audience;
			return jsonwebtoken.verify(token, await nodePublicKey(key), options);
		},
	},
};

async function attempt(library, task) {
	if (library[task.task] === undefined) return { error: 'has no such function' };
	try {
		return { ok: await library[task.task](task) };
	} catch (error) {
		return { error: `${error.code ?? error.name}: ${error.message}` };
	}
}

for await (const line of readline.createInterface({ input: process.stdin })) {
	const task = JSON.parse(line);
	const answer = {};
	for (const name of Object.keys(libraries)) answer[name] = await attempt(libraries[name], task);
	process.stdout.write(`${JSON.stringify(answer)}\n`);
}
