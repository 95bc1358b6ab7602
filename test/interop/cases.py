#!/usr/bin/python3
"""
cases.py SEED COUNT: prints as many cases, one JSON object a line.

A case is a task for peer.py and peer.mjs: a token, the key (a JWK or JWK Set) and
the demands to verify it with.  It is made from a good one by "mutations", none to
two of them, and comes with what the RFCs say of it: "valid", "refuse", or "either"
where they leave it open.  "given" is the list of algorithms, null where the key
is to say, which only we understand.

The same seed gives the same cases, but for the chance that is in ECDSA and PSS
signatures and in one RSA key, which decides nothing.

Everything here is made with python3-cryptography alone, by none of the libraries
that judge it.
"""
import base64
import hmac
import json
import os
import random
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, padding, rsa, utils

NOW = 1900000000
ISSUER = "https://issuer.example"
AUDIENCE = "https://api.example"
VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "vectors")

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
EC_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
EC_ORDERS = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16),
    "P-521": int("01" + "F" * 64 + "FA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16),
    "secp256k1": int("F" * 31 + "EBAAEDCE6AF48A03BBFD25E8CD0364141", 16),
}
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ED_KEYS = {"Ed25519": (ed25519.Ed25519PrivateKey, 32), "Ed448": (ed448.Ed448PrivateKey, 57)}
RSA_ALGORITHMS = [family + size for family in ("RS", "PS") for size in HASHES]
# Algorithm and curve
ALGORITHMS = [("HS" + size, None) for size in HASHES] + [(name, None) for name in RSA_ALGORITHMS] + [
    ("ES256", "P-256"), ("ES384", "P-384"), ("ES512", "P-521"), ("ES256K", "secp256k1"),
    ("EdDSA", "Ed25519"), ("EdDSA", "Ed448"), ("Ed25519", "Ed25519"), ("Ed448", "Ed448"),
]
ALL_NAMES = sorted({name for name, _ in ALGORITHMS})


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value, length=None):
    return b64(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


# --- keys --------------------------------------------------------------------


class Key:
    """A private key, or a secret, and its JWK"""

    def __init__(self, private):
        self.private = private
        if isinstance(private, bytes):
            self.public_jwk = self.private_jwk = {"kty": "oct", "k": b64(private)}
            return
        public = private.public_key()
        if isinstance(private, rsa.RSAPrivateKey):
            n = private.private_numbers()
            self.public_jwk = {"kty": "RSA", "n": number(n.public_numbers.n), "e": number(n.public_numbers.e)}
            secret = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
            secret = {name: number(value) for name, value in secret.items()}
        elif isinstance(private, ec.EllipticCurvePrivateKey):
            n = private.private_numbers()
            self.crv = next(crv for crv, curve in EC_CURVES.items() if curve.name == private.curve.name)
            self.half = (private.curve.key_size + 7) // 8
            self.public_jwk = {"kty": "EC", "crv": self.crv, "x": number(n.public_numbers.x, self.half),
                               "y": number(n.public_numbers.y, self.half)}
            secret = {"d": number(n.private_value, self.half)}
        else:
            raw = serialization.Encoding.Raw
            self.public_jwk = {
                "kty": "OKP", "crv": "Ed25519" if isinstance(private, ed25519.Ed25519PrivateKey) else "Ed448",
                "x": b64(public.public_bytes(raw, serialization.PublicFormat.Raw))}
            secret = {"d": b64(private.private_bytes(raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()))}
        self.private_jwk = {**self.public_jwk, **secret}

    def public_form(self, encoding):
        return self.private.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)

    def sign(self, algorithm, data):
        family, size = algorithm[:2], HASHES.get(algorithm[2:5])
        if family == "HS":
            return hmac.new(self.private, data, "sha" + algorithm[2:]).digest()
        if family == "RS":
            return self.private.sign(data, padding.PKCS1v15(), size)
        if family == "PS":
            return self.sign_pss(data, size, size.digest_size)
        if family == "ES":
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(size)))
            return r.to_bytes(self.half, "big") + s.to_bytes(self.half, "big")
        return self.private.sign(data)

    def sign_pss(self, data, size, salt, mgf=None):
        return self.private.sign(data, padding.PSS(mgf=padding.MGF1(mgf or size), salt_length=salt), size)


def vector_rsa(file, name):
    with open(os.path.join(VECTORS, file), encoding="utf-8") as vectors:
        jwk = json.load(vectors)["keys"][name]
    v = {member: int.from_bytes(unb64(jwk[member]), "big") for member in ("n", "e", "d", "p", "q", "dp", "dq", "qi")}
    return rsa.RSAPrivateNumbers(v["p"], v["q"], v["d"], v["dp"], v["dq"], v["qi"],
                                 rsa.RSAPublicNumbers(v["e"], v["n"])).private_key()


class Keys:
    """Two keys for each algorithm: the right one, and somebody else's"""

    def __init__(self, rng):
        self.rsa = [Key(vector_rsa("rfc7515.json", "A.2")), Key(vector_rsa("rfc7520.json", "3.4"))]
        self.weak_rsa = Key(rsa.generate_private_key(65537, 1024))
        self.secrets = [Key(rng.randbytes(64)) for _ in range(2)]
        self.curves = {crv: [Key(ec.derive_private_key(rng.randrange(1, 2**255), curve)) for _ in range(2)]
                       for crv, curve in EC_CURVES.items()}
        for crv, (kind, size) in ED_KEYS.items():
            self.curves[crv] = [Key(kind.from_private_bytes(rng.randbytes(size))) for _ in range(2)]

    def of(self, algorithm, curve):
        if curve is not None:
            return self.curves[curve]
        return self.secrets if algorithm.startswith("HS") else self.rsa


# --- a case ------------------------------------------------------------------


def default_algorithm(jwk):
    """What a JWK stands for by itself"""
    by_curve = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "secp256k1": "ES256K"}
    return jwk.get("alg") or {"oct": "HS256", "RSA": "RS256"}.get(jwk["kty"]) or by_curve.get(jwk["crv"], "EdDSA")


class Case:
    """A good token, until a mutation gets hold of it"""

    def __init__(self, rng, keys):
        self.rng = rng
        self.keys = keys
        self.algorithm, self.curve = rng.choice(ALGORITHMS)
        self.key, self.other_key = keys.of(self.algorithm, self.curve)
        self.signer = self.key
        self.signs_as = self.algorithm
        self.jwk = dict(self.key.public_jwk)
        self.algorithms = [self.algorithm]
        self.issuer = rng.choice([ISSUER, None])
        self.audience = rng.choice([AUDIENCE, None])
        # members as JSON texts, so that they can be spoiled
        self.header = [['"alg"', json.dumps(self.algorithm)], ['"typ"', '"JWT"']]
        self.payload = [['"iss"', json.dumps(ISSUER)], ['"sub"', '"ann"'], ['"exp"', str(NOW + 600)], ['"iat"', str(NOW - 60)]]
        if self.audience:
            self.payload.append(['"aud"', json.dumps(AUDIENCE)])
        self.texts = {"header": [], "payload": []}
        self.signature_changes = []
        self.token_changes = []
        self.decorate()

    def decorate(self):
        """What a good key and list may have besides"""
        if self.rng.random() < 0.5:
            self.jwk["kid"] = "key-1"
            if self.rng.random() < 0.8:
                self.set("header", "kid", '"key-1"')
        if self.rng.random() < 0.4:
            self.jwk["alg"] = self.algorithm
        if self.rng.random() < 0.3:
            self.jwk["use"] = "sig"
        kind = self.rng.random()
        if kind < 0.15 and default_algorithm(self.jwk) == self.algorithm:
            self.algorithms = None
        elif kind < 0.3:
            family = [name for name in ALL_NAMES if name.startswith("HS") == self.algorithm.startswith("HS")]
            self.algorithms = self.rng.sample(family, len(family))

    def set(self, part, name, value):
        """Puts a member in the place of the one of this name, or at the end"""
        members = getattr(self, part)
        name = json.dumps(name)
        for member in members:
            if member[0] == name:
                member[1] = value
                return
        members.append([name, value])

    def drop(self, part, name):
        members = getattr(self, part)
        members[:] = [member for member in members if member[0] != json.dumps(name)]

    def bytes_of(self, part):
        data = ("{" + ",".join(":".join(member) for member in getattr(self, part)) + "}").encode()
        for change in self.texts[part]:
            data = change(data)
        return data

    def token(self):
        signing_input = b64(self.bytes_of("header")) + "." + b64(self.bytes_of("payload"))
        signature = self.signer.sign(self.signs_as, signing_input.encode()) if self.signs_as else b""
        for change in self.signature_changes:
            signature = change(signature, signing_input.encode())
        token = signing_input + "." + b64(signature)
        for change in self.token_changes:
            token = change(token)
        return token


# --- mutations ---------------------------------------------------------------

MUTATIONS = []


def mutation(name, says, places, when=None):
    """Registers a function of a case: what the RFCs say then, and what parts of
    the case it takes for itself"""

    def register(change):
        MUTATIONS.append((name, says, set(places.split()), when or (lambda case: True), change))
        return change

    return register


def simple(name, says, places, change, when=None):
    mutation(name, says, places, when)(change)


def member(part, name, value, says, label):
    simple(f"{part}: {label}", says, part, lambda case: case.set(part, name, value))


def is_family(*families):
    return lambda case: case.algorithm[:2] in families


def is_pair(case):
    return not case.algorithm.startswith("HS")


# JSON texts that are none, or not the one that RFC 8259 has in mind, of either part
def json_mutations(part):
    def text(label, says, change):
        simple(f"{part}: {label}", says, part, lambda case: case.texts[part].append(change))

    def extra(label, says, value):
        simple(f"{part}: {label}", says, part, lambda case: case.set(part, "x", value))

    text("white space", "valid", lambda data: b" \r\n\t" + data.replace(b",", b" ,\n ") + b"\n")
    text("escaped name", "valid", lambda data: data.replace(b'"iss"', b'"\\u0069ss"').replace(b'"alg"', b'"\\u0061lg"'))
    text("byte order mark", "either", lambda data: b"\xef\xbb\xbf" + data)
    text("UTF-16", "refuse", lambda data: data.decode().encode("utf-16"))
    text("trailing comma", "refuse", lambda data: data[:-1] + b",}")
    text("single quotes", "refuse", lambda data: data.replace(b'"', b"'"))
    text("comment", "refuse", lambda data: b"/**/" + data)
    text("brace too many", "refuse", lambda data: data + b"}")
    text("brace too few", "refuse", lambda data: data[:-1])
    text("two objects", "refuse", lambda data: data + data)
    text("NUL at the end", "refuse", lambda data: data + b"\0")
    text("vertical tab", "refuse", lambda data: b"\v" + data)
    text("no-break space", "refuse", lambda data: b"\xc2\xa0" + data)
    text("empty", "refuse", lambda data: b"")
    text("an array", "refuse", lambda data: b"[" + data + b"]")
    text("a string", "refuse", lambda data: json.dumps(data.decode()).encode())
    text("a number", "refuse", lambda data: b"1")
    text("null", "refuse", lambda data: b"null")
    text("no JSON", "refuse", lambda data: b"hello")
    extra("member that nobody knows", "valid", '{"y":[1,null,true]}')
    extra("NaN", "refuse", "NaN")
    extra("Infinity", "refuse", "-Infinity")
    extra("True", "refuse", "True")
    extra("leading zero", "refuse", "01")
    extra("leading plus", "refuse", "+1")
    extra("hexadecimal", "refuse", "0x1F")
    extra("number without an end", "refuse", "1.")
    extra("line break in a string", "refuse", '"a\nb"')
    extra("unknown escape", "refuse", '"\\x41"')
    extra("lone surrogate", "either", '"\\ud800"')
    extra("escaped NUL", "either", '"\\u0000"')
    extra("number beyond a double", "either", "1e400")
    extra("number beyond a numeric", "either", "1e999999")
    extra("long integer", "valid", "123456789012345678901234567890")
    extra("nested 100 deep", "valid", "[" * 100 + "]" * 100)
    extra("nested 1500 deep", "either", "[" * 1500 + "]" * 1500)
    simple(f"{part}: bytes that are no UTF-8", "refuse", part, lambda case: (
        case.set(part, "x", '"?"'), case.texts[part].append(lambda data: data.replace(b"?", b"\xff"))))
    simple(f"{part}: overlong UTF-8", "refuse", part, lambda case: (
        case.set(part, "x", '"?"'), case.texts[part].append(lambda data: data.replace(b"?", b"\xc1\x81"))))
    simple(f"{part}: surrogate in UTF-8", "refuse", part, lambda case: (
        case.set(part, "x", '"?"'), case.texts[part].append(lambda data: data.replace(b"?", b"\xed\xa0\x80"))))
    # RFC 7515 section 4, RFC 7519 section 4: refuse, or take the last
    extra("duplicate member inside", "either", '{"y":1,"y":2}')
    simple(f"{part}: duplicate member", "either", part, lambda case: getattr(case, part).extend([['"x"', "1"], ['"x"', "2"]]))
    simple(f"{part}: duplicate member, escaped", "either", part,
           lambda case: getattr(case, part).extend([['"x"', "1"], ['"\\u0078"', "2"]]))


json_mutations("header")
json_mutations("payload")

# Header members: RFC 7515 section 4.1
for label, value in (("in lower case", '"jwt"'), ("long", '"application/jwt"'), ("another", '"at+jwt"')):
    member("header", "typ", value, "valid", f"typ {label}")
simple("header: no typ", "valid", "header", lambda case: case.drop("header", "typ"))
for label, value in (("number", "1"), ("null", "null"), ("object", "{}")):
    member("header", "typ", value, "either", f"typ is a {label}")
    member("header", "kid", value, "refuse", f"kid is a {label}")
member("header", "kid", '"key-2"', "either", "another kid")
member("header", "kid", '""', "either", "empty kid")
simple("header: no kid", "valid", "header", lambda case: case.drop("header", "kid"))
member("header", "cty", '"JWT"', "either", "cty of a nested token")
member("header", "zip", '"DEF"', "either", "zip")
member("header", "enc", '"A128GCM"', "either", "enc")
member("header", "jku", '"https://evil.example/jwks"', "valid", "jku")
member("header", "x5u", '"https://evil.example/x5u"', "valid", "x5u")
member("header", "x5c", '["AAAA"]', "valid", "x5c")
member("header", "b64", "true", "either", "b64 true")
member("header", "b64", "false", "either", "b64 false")


def crit(label, says, value, **members):
    simple(f"header: crit {label}", says, "header", lambda case: (
        [case.set("header", name, text) for name, text in members.items()], case.set("header", "crit", value)))


crit("with what nobody knows", "refuse", '["x"]', x="1")
crit("with what is not there", "refuse", '["x"]')
crit("empty", "refuse", "[]")
crit("is a string", "refuse", '"x"', x="1")
crit("is null", "refuse", "null")
crit("with a registered member", "refuse", '["alg"]')
crit("with a number", "refuse", "[1]")
crit("with exp", "refuse", '["exp"]', exp=str(NOW + 60))
crit("with b64 true", "either", '["b64"]', b64="true")
crit("with b64 false", "refuse", '["b64"]', b64="false")
crit("with b64 that is a string", "refuse", '["b64"]', b64='"false"')
crit("with a name twice", "refuse", '["b64","b64"]', b64="true")

for label, value in (("none", '"none"'), ("None", '"None"'), ("a number", "1"), ("null", "null"), ("empty", '""'),
                     ("unknown", '"XX256"'), ("a list", '["HS256"]'), ("of encryption", '"RSA-OAEP"')):
    member("header", "alg", value, "refuse", f"alg {label}")
simple("header: no alg", "refuse", "header", lambda case: case.drop("header", "alg"))
simple("header: alg in lower case", "refuse", "header",
       lambda case: case.set("header", "alg", json.dumps(case.algorithm.lower())))
simple("header: alg and a space", "refuse", "header",
       lambda case: case.set("header", "alg", json.dumps(case.algorithm + " ")))
simple("header: alg with an escape", "valid", "header",
       lambda case: case.set("header", "alg", '"\\u00%02x%s"' % (ord(case.algorithm[0]), case.algorithm[1:])))
simple("header: alg twice", "either", "header", lambda case: case.header.append(list(case.header[0])))
simple("header: alg none, then the right one", "either", "header", lambda case: case.header.insert(0, ['"alg"', '"none"']))
simple("header: the right alg, then none", "refuse", "header", lambda case: case.header.append(['"alg"', '"none"']))


@mutation("header: alg of another signature", "refuse", "header")
def other_algorithm(case):
    twins = {"EdDSA", case.curve} if case.curve in ED_KEYS else {case.algorithm}
    case.set("header", "alg", json.dumps(case.rng.choice([name for name in ALL_NAMES if name not in twins])))


def is_rsa(case):
    return case.algorithm in RSA_ALGORITHMS


def sign_as_another(case):
    case.jwk.pop("alg", None)
    case.signs_as = case.rng.choice([name for name in RSA_ALGORITHMS if name != case.algorithm])
    case.set("header", "alg", json.dumps(case.signs_as))


simple("header: another alg of the key, not listed", "refuse", "header algorithms key signature", lambda case: (
    sign_as_another(case), setattr(case, "algorithms", [case.algorithm])), is_rsa)
simple("header: another alg of the key, listed", "valid", "header algorithms key signature", lambda case: (
    sign_as_another(case), setattr(case, "algorithms", [case.algorithm, case.signs_as])), is_rsa)
simple("header: another alg than that of the JWK", "either", "header algorithms key signature", lambda case: (
    sign_as_another(case), setattr(case, "algorithms", [case.signs_as]), case.jwk.update(alg=case.algorithm)), is_rsa)


def is_ed25519(case):
    return case.curve == "Ed25519"


def name_the_twin(case):
    case.jwk.pop("alg", None)
    case.set("header", "alg", '"Ed25519"' if case.algorithm == "EdDSA" else '"EdDSA"')


simple("header: EdDSA by its other name, not listed", "refuse", "header algorithms key", lambda case: (
    name_the_twin(case), setattr(case, "algorithms", [case.algorithm])), is_ed25519)
simple("header: EdDSA by its other name, listed", "valid", "header algorithms key", lambda case: (
    name_the_twin(case), setattr(case, "algorithms", ["EdDSA", "Ed25519"])), is_ed25519)


@mutation("header: HMAC with the public key", "refuse", "header algorithms key signature", is_pair)
def confusion(case):
    key = case.key
    secret = case.rng.choice([
        key.public_form(serialization.Encoding.PEM), key.public_form(serialization.Encoding.PEM).strip(),
        key.public_form(serialization.Encoding.DER), json.dumps(case.jwk).encode(),
        (case.jwk.get("n") or case.jwk["x"]).encode(), unb64(case.jwk.get("n") or case.jwk["x"])])
    case.signer = Key(secret)
    case.signs_as = case.rng.choice(["HS256", "HS384", "HS512"])
    case.algorithms = case.rng.choice([[case.algorithm], [case.algorithm, case.signs_as], [case.signs_as], None])
    case.set("header", "alg", json.dumps(case.signs_as))


@mutation("header: alg none and no signature", "refuse", "header algorithms signature")
def unsecured(case):
    case.signs_as = None
    case.set("header", "alg", case.rng.choice(['"none"', '"None"', '"NONE"', '"nOnE"']))
    case.algorithms = case.rng.choice([case.algorithms, ["none"], (case.algorithms or []) + ["none"], None])


@mutation("header: jwk of somebody else, who signed", "refuse", "header signature key")
def embedded_key(case):
    case.set("header", "jwk", json.dumps(case.other_key.public_jwk))
    case.signer = case.other_key


simple("header: jwk of the signer", "valid", "header",
       lambda case: case.set("header", "jwk", json.dumps(case.key.public_jwk)))

# Claims: RFC 7519 section 4.1
for label, offset, says in (
        ("long past", "-86400", "refuse"), ("a second ago", "-1", "refuse"), ("now", "0", "refuse"),
        ("in a second", "1", "valid"), ("in half a second", "0.5", "valid"), ("half a second ago", "-0.5", "refuse"),
        ("in a thousandth of a second", "0.001", "valid"), ("a thousandth of a second ago", "-0.001", "refuse")):
    for claim in ("exp", "nbf", "iat"):
        if claim != "exp":
            says = "valid" if float(offset) <= 0 else "refuse" if claim == "nbf" else "either"
        member("payload", claim, repr(NOW + float(offset)) if "." in offset else str(NOW + int(offset)), says, f"{claim} {label}")
for claim in ("exp", "nbf", "iat"):
    for label, value in (("a string", f'"{NOW}"'), ("a date", '"2030-01-01T00:00:00Z"'), ("null", "null"), ("a boolean", "true"),
                         ("a list", f"[{NOW}]"), ("an object", "{}"), ("empty", '""'), ("a future string", f'"{NOW + 600}"')):
        member("payload", claim, value, "refuse", f"{claim} is {label}")
    for label, value, future in (("with an exponent", "2.5e9", True), ("negative", "-1", False), ("zero", "0", False),
                                 ("minus zero", "-0", False), ("tiny", "1e-400", False), ("beyond 2^63", "9223372036854775808", True),
                                 ("beyond 2^64", "18446744073709551617", True), ("of thirty digits", "9" * 30, True)):
        says = "valid" if future == (claim == "exp") else "either" if claim == "iat" else "refuse"
        member("payload", claim, value, says, f"{claim} {label}")
    member("payload", claim, "1e400", "either", f"{claim} beyond a double")
    member("payload", claim, "-1e400", "either", f"{claim} beyond a double, negative")
simple("payload: no exp", "valid", "payload", lambda case: case.drop("payload", "exp"))
simple("payload: exp past, then future", "either", "payload", lambda case: case.payload.insert(0, ['"exp"', str(NOW - 9)]))
simple("payload: exp future, then past", "refuse", "payload", lambda case: case.payload.append(['"exp"', str(NOW - 9)]))
simple("payload: empty object", "valid", "payload", lambda case: (
    case.payload.clear(), setattr(case, "issuer", None), setattr(case, "audience", None)))

for claim in ("sub", "jti"):
    for label, value in (("a number", "1"), ("null", "null"), ("a list", '["ann"]'), ("a boolean", "true")):
        member("payload", claim, value, "refuse", f"{claim} is {label}")
    member("payload", claim, '""', "either", f"{claim} is empty")


def party(claim, demand, wanted, label, value, says):
    def change(case):
        setattr(case, demand, wanted)
        if value is None:
            case.drop("payload", claim)
        else:
            case.set("payload", claim, value)

    simple(f"payload: {claim} {label}", says, "payload", change)


for claim, demand, wanted in (("iss", "issuer", ISSUER), ("aud", "audience", AUDIENCE)):
    right = json.dumps(wanted)
    is_aud = claim == "aud"
    party(claim, demand, wanted, "missing", None, "either")
    party(claim, demand, None, "missing, not demanded", None, "valid")
    # an audience that does not name itself is none that is meant: RFC 7519 section 4.1.3
    party(claim, demand, None, "not demanded", right, "refuse" if is_aud else "valid")
    party(claim, demand, None, "a list, not demanded", f"[{right}]", "refuse")
    for label, value, says in (
            ("another", '"https://other.example"', "refuse"), ("empty", '""', "refuse"),
            ("in upper case", right.upper(), "refuse"), ("a part", right[:-3] + '"', "refuse"),
            ("longer", right[:-1] + '/"', "refuse"), ("with a NUL", right[:-1] + '\\u0000"', "refuse"),
            ("a number", "1", "refuse"), ("null", "null", "refuse"), ("an object", "{" + right + ":1}", "refuse"),
            ("a list of it", f"[{right}]", "valid" if is_aud else "refuse"),
            ("a list with it", f'["https://other.example",{right}]', "valid" if is_aud else "refuse"),
            ("a list without it", '["https://other.example"]', "refuse"), ("an empty list", "[]", "refuse"),
            ("a list with it and a number", f"[{right},1]", "refuse"), ("a list in a list", f"[[{right}]]", "refuse"),
            ("a list of its characters", json.dumps(list(wanted)), "refuse"), ("escaped", '"\\u0068' + right[2:], "valid")):
        party(claim, demand, wanted, label, value, says)

# Lists of algorithms
simple("algorithms: all", "valid", "algorithms", lambda case: setattr(case, "algorithms", list(ALL_NAMES)))
simple("algorithms: all others", "refuse", "algorithms",
       lambda case: setattr(case, "algorithms", [name for name in ALL_NAMES if name != case.algorithm]))
simple("algorithms: another", "refuse", "algorithms", lambda case: setattr(
    case, "algorithms", [case.rng.choice([name for name in ALL_NAMES if name != case.algorithm])]))
simple("algorithms: in lower case", "refuse", "algorithms", lambda case: setattr(case, "algorithms", [case.algorithm.lower()]))
simple("algorithms: twice", "valid", "algorithms", lambda case: setattr(case, "algorithms", [case.algorithm] * 2))
simple("algorithms: with an unknown one", "either", "algorithms",
       lambda case: setattr(case, "algorithms", [case.algorithm, "XX256"]))
simple("algorithms: with none", "either", "algorithms", lambda case: setattr(case, "algorithms", [case.algorithm, "none"]))
simple("algorithms: empty", "either", "algorithms", lambda case: setattr(case, "algorithms", []))

# --- signatures: RFC 7515 section 5.2, RFC 7518 section 3


def signature(label, says, change, when=None, places="signature"):
    simple(f"signature: {label}", says, places, lambda case: case.signature_changes.append(
        lambda sig, data: change(case, sig, data)), when)


def flip(case, sig, _data):
    bit = case.rng.randrange(8 * len(sig))
    return sig[:bit // 8] + bytes([sig[bit // 8] ^ 1 << bit % 8]) + sig[bit // 8 + 1:]


def halves(case, sig):
    half = case.key.half
    return int.from_bytes(sig[:half], "big"), int.from_bytes(sig[half:], "big")


def join(case, r, s):
    return r.to_bytes(case.key.half, "big") + s.to_bytes(case.key.half, "big")


def has_half(*curves):
    return lambda case: case.curve in (curves or EC_CURVES)


def other_s(case, sig, _data):
    r, s = halves(case, sig)
    return join(case, r, EC_ORDERS[case.curve] - s)


def plus_order(case, sig, _data):
    r, s = halves(case, sig)
    return join(case, r + EC_ORDERS[case.curve], s)


def edges(case, _sig, _data):
    order = EC_ORDERS[case.curve]
    return join(case, *(case.rng.choice([0, 1, order - 1, order, order + 1 if case.curve == "P-521" else order]) for _ in range(2)))


def plus_modulus(case, sig, _data):
    """The same residue, where it fits; else another, which is wrong, too"""
    value = int.from_bytes(sig, "big") + int.from_bytes(unb64(case.key.public_jwk["n"]), "big")
    return (value % 2 ** (8 * len(sig))).to_bytes(len(sig), "big")


def wrong_salt(case, _sig, data):
    size = HASHES[case.algorithm[2:]]
    return case.key.sign_pss(data, size, case.rng.choice([0, 1, 20, size.digest_size - 1, size.digest_size + 1, 100]))


def wrong_mgf(case, _sig, data):
    size = HASHES[case.algorithm[2:]]
    other = case.rng.choice([hashes.SHA1()] + [other for other in HASHES.values() if other.name != size.name])
    return case.key.sign_pss(data, size, size.digest_size, other)


def plus_group_order(_case, sig, _data):
    """RFC 8032 section 5.1.7: S below the order of the group"""
    s = int.from_bytes(sig[32:], "little") + ED25519_ORDER
    return sig[:32] + s.to_bytes(32, "little")


signature("a flipped bit", "refuse", flip)
signature("cut short", "refuse", lambda case, sig, _: sig[:-case.rng.randrange(1, len(sig))])
signature("without its first byte", "refuse", lambda case, sig, _: sig[1:])
signature("longer", "refuse", lambda case, sig, _: sig + case.rng.randbytes(case.rng.randrange(1, 9)))
signature("a zero before", "refuse", lambda case, sig, _: b"\0" + sig)
signature("a zero after", "refuse", lambda case, sig, _: sig + b"\0")
signature("empty", "refuse", lambda case, sig, _: b"")
signature("zeros", "refuse", lambda case, sig, _: bytes(len(sig)))
signature("ones", "refuse", lambda case, sig, _: b"\xff" * len(sig))
signature("chance", "refuse", lambda case, sig, _: case.rng.randbytes(len(sig)))
signature("backwards", "refuse", lambda case, sig, _: sig[::-1])
signature("twice", "refuse", lambda case, sig, _: sig + sig)
signature("of another text", "refuse", lambda case, sig, data: case.key.sign(case.algorithm, data + b"x"))
signature("of the payload alone", "refuse", lambda case, sig, data: case.key.sign(case.algorithm, data.split(b".")[1]))
signature("by another key", "refuse", lambda case, sig, data: case.other_key.sign(case.algorithm, data), places="signature key")
signature("in DER", "refuse", lambda case, sig, _: utils.encode_dss_signature(*halves(case, sig)), has_half())
signature("r and s swapped", "refuse", lambda case, sig, _: join(case, *reversed(halves(case, sig))), has_half())
signature("the other s", "valid", other_s, has_half())
signature("r and the order", "refuse", plus_order, has_half("P-521"))
signature("r and s at the edges", "refuse", edges, has_half())
signature("s and the modulus", "refuse", plus_modulus, is_rsa)
signature("salt of another length", "refuse", wrong_salt, is_family("PS"))
signature("another hash in MGF1", "refuse", wrong_mgf, is_family("PS"))
signature("the other padding", "refuse", lambda case, sig, data: case.key.sign(
    {"R": "P", "P": "R"}[case.algorithm[0]] + case.algorithm[1:], data), is_rsa)
signature("another hash", "refuse", lambda case, sig, data: case.key.sign(
    case.algorithm[:2] + case.rng.choice([size for size in HASHES if size != case.algorithm[2:]]), data), is_family("HS", "RS", "PS"))
signature("S and the order", "refuse", plus_group_order, is_ed25519)
signature("in hexadecimal", "refuse", lambda case, sig, _: sig.hex().encode())

# --- compact serialization: RFC 7515 sections 2, 3.1 and 5.2


def token(label, says, change, places="token"):
    simple(f"token: {label}", says, places, lambda case: case.token_changes.append(lambda text: change(case, text)))


def in_segment(change):
    """Changes one of the three segments that is not empty"""

    def changed(case, text):
        segments = text.split(".")
        index = case.rng.choice([index for index, segment in enumerate(segments) if segment] or [0])
        segments[index] = change(case, segments[index])
        return ".".join(segments)

    return changed


def insert(characters):
    def change(case, segment):
        at = case.rng.randrange(len(segment) + 1)
        return segment[:at] + case.rng.choice(characters) + segment[at:]

    return in_segment(change)


def trailing_bits(case, text):
    """Other bits after the last byte, where a segment has room for them"""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    segments = text.split(".")
    for index in case.rng.sample(range(len(segments)), len(segments)):
        spare = {2: 4, 3: 2}.get(len(segments[index]) % 4)
        if spare:
            last = alphabet.index(segments[index][-1])
            segments[index] = segments[index][:-1] + alphabet[last ^ case.rng.randrange(1, 1 << spare)]
            return ".".join(segments)
    return text + "="


def standard_alphabet(_case, text):
    changed = text.replace("-", "+").replace("_", "/")
    return changed if changed != text else text + "+"


def replaced(case, segment):
    """A character of the alphabet that stands for other bits"""
    at = case.rng.randrange(len(segment) - 1) if len(segment) > 1 else 0
    return segment[:at] + case.rng.choice("AaZz09-_".replace(segment[at] if segment else "", "")) + segment[at + 1:]


token("padding", "refuse", in_segment(lambda case, segment: segment + "=" * (-len(segment) % 4 or 4)))
token("one sign of padding", "refuse", in_segment(lambda case, segment: segment + "="))
token("white space inside", "refuse", insert([" ", "\t", "\n", "\r\n"]))
token("space before", "refuse", lambda case, text: case.rng.choice([" ", "\n", "\t"]) + text)
token("space after", "refuse", lambda case, text: text + case.rng.choice([" ", "\n", "\r\n"]))
token("a character of no alphabet", "refuse", insert(list("!#$%&'*,:;<>@^`|~?()[]{}\\\"")))
token("a letter beyond ASCII", "refuse", insert(["é", "Ａ", "А", "\u200b"]))
token("the standard alphabet", "refuse", standard_alphabet)
token("trailing bits", "either", trailing_bits)
token("another character", "refuse", in_segment(replaced))
token("a character less", "refuse", in_segment(lambda case, segment: segment[:-1]), places="token signature")
token("a character more", "refuse", in_segment(lambda case, segment: segment + case.rng.choice("AQgw")), places="token signature")
token("Bearer", "refuse", lambda case, text: "Bearer " + text)
token("a dot before", "refuse", lambda case, text: "." + text)
token("a dot after", "refuse", lambda case, text: text + ".")
token("a fourth segment", "refuse", lambda case, text: text + "." + b64(case.rng.randbytes(8)))
token("five segments", "refuse", lambda case, text: text + ".AAAA.AAAA")
token("two segments", "refuse", lambda case, text: text.rpartition(".")[0])
token("no signature", "refuse", lambda case, text: text.rpartition(".")[0] + ".")
token("no payload", "refuse", lambda case, text: text.split(".")[0] + ".." + text.split(".")[-1])
token("no header", "refuse", lambda case, text: "." + text.partition(".")[2])
token("header and payload swapped", "refuse", lambda case, text: ".".join((text.split(".") + ["", ""])[i] for i in (1, 0, 2)))
token("empty", "refuse", lambda case, text: "")
token("other dots", "refuse", lambda case, text: text.replace(".", case.rng.choice(["。", "․", "%2E", ","])))
token("flattened JSON", "refuse", lambda case, text: json.dumps(
    dict(zip(("protected", "payload", "signature"), text.split(".")))))
token("in quotes", "refuse", lambda case, text: f'"{text}"')
token("header without its signature's", "refuse", lambda case, text: b64(json.dumps(
    {"alg": case.algorithm, "typ": "JWT", "x": 1}).encode()) + "." + text.partition(".")[2])
token("payload without its signature's", "refuse", lambda case, text: ".".join(
    (text.split(".")[0], b64(json.dumps({"sub": "bob", "exp": NOW + 60}).encode()), text.split(".")[-1])))

# --- keys: RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2


def key(label, says, change, when=None, places="key"):
    simple(f"key: {label}", says, places, change, when)


def with_members(**members):
    return lambda case: case.jwk.update(members)


def of_type(*types):
    return lambda case: case.jwk["kty"] in types


def key_member(case):
    """The name of a member that the key cannot be without"""
    return case.rng.choice({"oct": ["k"], "RSA": ["n", "e"], "EC": ["x", "y"], "OKP": ["x"]}[case.jwk["kty"]])


def changed_member(change):
    def changed(case):
        name = key_member(case)
        case.jwk[name] = change(case, case.jwk[name])

    return changed


key("another", "refuse", lambda case: case.jwk.update(case.other_key.public_jwk))
key("private", "valid", lambda case: case.jwk.update(case.key.private_jwk), is_pair)
key("private members of another", "either", lambda case: case.jwk.update(
    {name: value for name, value in case.other_key.private_jwk.items() if name not in case.other_key.public_jwk}), is_pair)
key("member that nobody knows", "valid", with_members(x5t="abc", ext=True, iat=1))
key("no kty", "refuse", lambda case: case.jwk.pop("kty"), places="key algorithms")
key("another kty", "refuse", lambda case: case.jwk.update(
    kty=case.rng.choice([kty for kty in ("oct", "RSA", "EC", "OKP") if kty != case.jwk["kty"]])), places="key algorithms")
key("kty in another case", "refuse", lambda case: case.jwk.update(kty=case.jwk["kty"].swapcase()), places="key algorithms")
key("kty is a number", "refuse", with_members(kty=1), places="key algorithms")
key("a member less", "refuse", lambda case: case.jwk.pop(key_member(case)))
key("a member that is null", "refuse", lambda case: case.jwk.update({key_member(case): None}))
key("a member that is a number", "refuse", lambda case: case.jwk.update({key_member(case): 65537}))
key("a member that is empty", "refuse", lambda case: case.jwk.update({key_member(case): ""}))
key("a member with padding", "refuse", changed_member(lambda case, value: value + "=" * (-len(value) % 4 or 4)))
key("a member with white space", "refuse", changed_member(lambda case, value: value[:1] + case.rng.choice(" \n\t") + value[1:]))
key("a member with a character of no alphabet", "refuse", changed_member(lambda case, value: value[:2] + "!" + value[2:]))
key("a leading zero", "refuse", changed_member(lambda case, value: b64(b"\0" + unb64(value))), of_type("RSA", "EC", "OKP"))
key("a byte less", "refuse", changed_member(lambda case, value: b64(unb64(value)[:-1])))
key("a changed byte", "refuse", changed_member(
    lambda case, value: b64(unb64(value)[:-1] + bytes([unb64(value)[-1] ^ case.rng.choice([2, 4, 8, 16])]))))
key("another crv", "refuse", lambda case: case.jwk.update(crv=case.rng.choice(
    [crv for crv in list(EC_CURVES) + list(ED_KEYS) + ["X25519", "P-256K"] if crv != case.jwk["crv"]])),
    of_type("EC", "OKP"), places="key algorithms")
key("no crv", "refuse", lambda case: case.jwk.pop("crv"), of_type("EC", "OKP"), places="key algorithms")
key("crv in lower case", "refuse", lambda case: case.jwk.update(crv=case.jwk["crv"].lower() + ("" if case.jwk["crv"] != "secp256k1" else "1")),
    of_type("EC", "OKP"), places="key algorithms")
key("point off the curve", "refuse", lambda case: case.jwk.update(
    y=b64(bytes(case.key.half - 1) + b"\5")), of_type("EC"))
key("x and y swapped", "refuse", lambda case: case.jwk.update(x=case.jwk["y"], y=case.jwk["x"]), of_type("EC"))
key("exponent of one", "refuse", with_members(e="AQ"), of_type("RSA"))
key("even exponent", "refuse", with_members(e="AQAA"), of_type("RSA"))
key("alg of its own", "valid", lambda case: case.jwk.update(alg=case.algorithm))
key("alg of another", "either", lambda case: case.jwk.update(
    alg=case.rng.choice([name for name in ALL_NAMES if name != case.algorithm])), places="key algorithms")
key("alg unknown", "either", with_members(alg="XX256"), places="key algorithms")
key("alg none", "either", with_members(alg="none"), places="key algorithms")
key("alg of encryption", "either", with_members(alg="RSA-OAEP"), places="key algorithms")
key("alg is a number", "either", with_members(alg=1), places="key algorithms")
key("use enc", "either", with_members(use="enc"))
key("use in upper case", "either", with_members(use="SIG"))
key("use is a list", "either", with_members(use=["sig"]))
key("use is null", "either", with_members(use=None))
key("key_ops verify", "valid", with_members(key_ops=["verify"]))
key("key_ops sign and verify", "either", with_members(key_ops=["sign", "verify"]))
key("key_ops sign", "either", with_members(key_ops=["sign"]))
key("key_ops empty", "either", with_members(key_ops=[]))
key("key_ops encrypt", "either", with_members(key_ops=["encrypt"]))
key("key_ops is a string", "either", with_members(key_ops="verify"))
key("key_ops twice the same", "either", with_members(key_ops=["verify", "verify"]))
key("use enc, key_ops verify", "either", with_members(use="enc", key_ops=["verify"]))
key("kid is a number", "either", with_members(kid=1))
key("another kid", "either", with_members(kid="key-3"))
key("no kid", "valid", lambda case: case.jwk.pop("kid", None))


# with 1024 bits there is no room for the salt of PS512
@mutation("key: RSA of 1024 bits", "refuse", "key signature", lambda case: is_rsa(case) and case.algorithm != "PS512")
def weak_modulus(case):
    case.signer = case.key = case.keys.weak_rsa
    case.jwk.update(case.key.public_jwk)


@mutation("key: secret shorter than the hash", "refuse", "key signature", is_family("HS"))
def weak_secret(case):
    case.signer = case.key = Key(case.key.private[:case.rng.randrange(1, int(case.algorithm[2:]) // 8)])
    case.jwk.update(case.key.public_jwk)


@mutation("key: no secret at all", "refuse", "key signature", is_family("HS"))
def empty_secret(case):
    case.signer = Key(b"")
    case.jwk["k"] = ""


@mutation("key: Ed25519 point of small order", "either", "key signature", is_ed25519)
def small_order(case):
    """The neutral element: its signatures of any text are the same"""
    case.jwk["x"] = b64(b"\1" + bytes(31))
    case.signature_changes.append(lambda sig, data: b"\1" + bytes(63))


# Sets: RFC 7517 section 5
def as_set(case, *more):
    keys = [case.jwk, *more]
    case.rng.shuffle(keys)
    case.jwk = {"keys": keys}


def other_jwk(case, **members):
    """A public key, or for a secret another secret: the two are not mixed"""
    return {**case.other_key.public_jwk, **members}


def key_set(label, says, change):
    simple(f"set: {label}", says, "key header algorithms", change)


def named(case, kid="key-1"):
    case.jwk["kid"] = kid
    case.set("header", "kid", json.dumps("key-1"))
    case.algorithms = [case.algorithm]


key_set("of one", "valid", lambda case: (named(case), as_set(case)))
key_set("of two, kid picks", "valid", lambda case: (named(case), as_set(case, other_jwk(case, kid="key-2"))))
key_set("of two, kid picks another", "refuse", lambda case: (
    named(case, "key-2"), as_set(case, other_jwk(case, kid="key-1"))))
key_set("kid unknown", "either", lambda case: (named(case, "key-2"), as_set(case, other_jwk(case, kid="key-3"))))
key_set("of two, no kid in the token", "either", lambda case: (
    named(case), case.drop("header", "kid"), as_set(case, other_jwk(case, kid="key-2"))))
key_set("of two with the same kid", "either", lambda case: (named(case), as_set(case, other_jwk(case, kid="key-1"))))
key_set("with a key of a type that nobody knows", "valid", lambda case: (
    named(case), as_set(case, {"kty": "XYZ", "kid": "key-2"}) if is_pair(case) else as_set(case)))
key_set("with a key for encryption", "valid", lambda case: (named(case), as_set(case, other_jwk(case, kid="key-2", use="enc"))))
key_set("a secret beside public keys", "either", lambda case: (named(case), as_set(
    case, {"kty": "oct", "k": b64(bytes(64)), "kid": "key-2"} if is_pair(case) else {**case.keys.rsa[0].public_jwk, "kid": "key-2"})))
key_set("empty", "refuse", lambda case: (named(case), setattr(case, "jwk", {"keys": []})))
key_set("keys is an object", "refuse", lambda case: (named(case), setattr(case, "jwk", {"keys": case.jwk})))
key_set("a bare list", "refuse", lambda case: (named(case), setattr(case, "jwk", [case.jwk])))

# --- putting them together ------------------------------------------------------

VERDICTS = ["valid", "either", "refuse"]


def make_case(rng, keys, index):
    case = Case(rng, keys)
    chosen = []
    taken = set()
    # by place first, so that a place with many mutations is not most of all
    for _ in range(rng.choices([0, 1, 2], [3, 67, 30])[0]):
        places = ["header", "payload", "signature", "token", "key", "algorithms"]
        place = rng.choice([place for place in places if place not in taken])
        able = [m for m in MUTATIONS if place in m[2] and not m[2] & taken and m[3](case)]
        if able:
            chosen.append(rng.choice(able))
            taken |= chosen[-1][2]
    # a set takes the key as it is by then
    chosen.sort(key=lambda m: m[0].startswith("set:"))
    default = default_algorithm(case.jwk)
    for _, _, _, _, change in chosen:
        change(case)
    return {
        "task": "verify",
        "id": index,
        "algorithm": case.algorithm if case.algorithm != "EdDSA" else f"EdDSA, {case.curve}",
        "mutations": [name for name, *_ in chosen],
        "says": max([says for _, says, *_ in chosen] or ["valid"], key=VERDICTS.index),
        "token": case.token(),
        "key": case.jwk,
        "given": case.algorithms,
        "algorithms": [default] if case.algorithms is None else case.algorithms,
        "issuer": case.issuer,
        "audience": case.audience,
        "now": NOW,
    }


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    keys = Keys(random.Random(seed))
    for index in range(count):
        # a case is the same however many there are
        print(json.dumps(make_case(random.Random(seed * 10**9 + index), keys, index)))


main()
