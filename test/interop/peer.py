#!/usr/bin/python3
"""
Does with PyJWT and jwcrypto what it is told, one JSON object a line, and answers
each with a line: {library: {"ok": result} or {"error": why not}}.

  {"task": "make", "algorithm", "curve"}   a new key, as below
  {"task": "convert", "key"}               this key, as below
  {"task": "sign", "key", "algorithm", "payload"}             a token
  {"task": "verify", "key", "token", "algorithms",
   "issuer", "audience", "now"}            its payload

A key is an object, a JWK or JWK Set, or a text, PEM.  "As below": {"private",
"public" (JWK), "private_pem", "public_pem", "thumbprint"}, as far as there are
any.  PyJWT has no use for the first two tasks.  The interpreter is the one that
Debian's packages belong to.
"""
import datetime
import functools
import json
import sys
import types
import warnings

import jwcrypto.jwk
import jwcrypto.jwt
import jwt
import jwt.api_jwt

# of keys that are bad on purpose
warnings.simplefilter("ignore")

# Neither library can be told the time
NOW = None


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        real = datetime.datetime.now(tz)
        return real if NOW is None else datetime.datetime.fromtimestamp(NOW, tz)


jwt.api_jwt.datetime = Clock
jwcrypto.jwt.time = types.SimpleNamespace(time=lambda: Clock.now().timestamp())


class PyJWT:
    @staticmethod
    @functools.lru_cache(1000)
    def key(text):
        key = json.loads(text)
        if isinstance(key, str):
            return key
        # without "alg", PyJWK knows no curve of EdDSA but the first
        algorithm = "EdDSA" if key.get("crv") == "Ed448" and "alg" not in key else None
        return jwt.PyJWK(key, algorithm).key

    @classmethod
    def choose(cls, key, token):
        """The key of a set that the token's kid names"""
        if isinstance(key, dict) and "keys" in key:
            kid = jwt.get_unverified_header(token).get("kid")
            return jwt.PyJWKSet.from_dict(key)[kid].key
        return cls.key(json.dumps(key))

    @classmethod
    def sign(cls, key, algorithm, payload, **_):
        return jwt.encode(payload, cls.key(json.dumps(key)), algorithm)

    @classmethod
    def verify(cls, key, token, algorithms, issuer=None, audience=None, **_):
        return jwt.decode(token, cls.choose(key, token), algorithms, issuer=issuer, audience=audience)


class JWCrypto:
    @staticmethod
    @functools.lru_cache(1000)
    def key(text):
        key = json.loads(text)
        if isinstance(key, str):
            return jwcrypto.jwk.JWK.from_pem(key.encode())
        if "keys" in key:
            return jwcrypto.jwk.JWKSet.from_json(text)
        return jwcrypto.jwk.JWK(**key)

    @staticmethod
    def forms(key):
        answer = {"thumbprint": key.thumbprint()}
        if key.has_private:
            answer["private"] = key.export_private(as_dict=True)
            answer["private_pem"] = key.export_to_pem(private_key=True, password=None).decode()
        if key.has_public:
            answer["public"] = key.export_public(as_dict=True)
            answer["public_pem"] = key.export_to_pem().decode()
        if key.is_symmetric:
            answer["private"] = key.export_symmetric(as_dict=True)
        return answer

    @classmethod
    def make(cls, algorithm, curve=None, **_):
        generate = jwcrypto.jwk.JWK.generate
        if algorithm.startswith("HS"):
            return cls.forms(generate(kty="oct", size=int(algorithm[2:])))
        if curve is None:
            return cls.forms(generate(kty="RSA", size=2048))
        return cls.forms(generate(kty="OKP" if curve.startswith("Ed") else "EC", crv=curve))

    @classmethod
    def convert(cls, key, **_):
        return cls.forms(cls.key(json.dumps(key)))

    @classmethod
    def sign(cls, key, algorithm, payload, **_):
        token = jwcrypto.jwt.JWT(header={"alg": algorithm}, claims=payload, algs=[algorithm])
        token.make_signed_token(cls.key(json.dumps(key)))
        return token.serialize()

    @classmethod
    def verify(cls, key, token, algorithms, issuer=None, audience=None, **_):
        demands = {"iss": issuer, "aud": audience}
        # None would demand no more than that the claim is there
        demands = {name: value for name, value in demands.items() if value is not None}
        # with demands, it looks at no time of its own
        for check_claims in [None] + ([demands] if demands else []):
            verified = jwcrypto.jwt.JWT(algs=algorithms, check_claims=check_claims)
            verified.leeway = 0
            verified.deserialize(token, cls.key(json.dumps(key)))
        return json.loads(verified.claims)


LIBRARIES = {"PyJWT": PyJWT, "jwcrypto": JWCrypto}


def attempt(library, task):
    method = getattr(library, task["task"], None)
    if method is None:
        return {"error": "has no such function"}
    try:
        return {"ok": method(**task)}
    except Exception as error:  # whatever a library raises, it refuses
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    global NOW
    for line in sys.stdin:
        task = json.loads(line)
        NOW = task.pop("now", None)
        answer = {name: attempt(library, task) for name, library in LIBRARIES.items()}
        print(json.dumps(answer), flush=True)


main()
