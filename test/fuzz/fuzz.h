/*
 * fuzz.h
 *	  What the fuzz targets share: reading an input, stating a property, the
 *	  keys and tokens that they know, and what holds of every key.
 */
#ifndef JWT_AUTH_FUZZ_H
#define JWT_AUTH_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alg.h"
#include "jose.h"
#include "jwk.h"
#include "jws.h"

/* What libFuzzer calls; it declares neither. */
extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that does not hold ends the process, which is a finding. */
#define PROPERTY(condition) \
	((condition) ? (void) 0 : fuzz_broken(__FILE__, __LINE__, #condition))

extern void fuzz_broken(const char *file, int line, const char *property) __attribute__((noreturn));

/* The statuses that a function documents. */
#define STATUS(name)	(UINT64_C(1) << JOSE_##name)

#define EXPECT(call, statuses)	fuzz_expect(__FILE__, __LINE__, #call, (call), (statuses))

extern JoseStatus fuzz_expect(const char *file, int line, const char *call, JoseStatus status,
							  uint64_t statuses);

/* What is left of an input. */
typedef struct Input
{
	const uint8_t *data;
	size_t		len;
} Input;

extern unsigned int fuzz_byte(Input *input);
extern size_t fuzz_length(Input *input);
extern void *fuzz_copy(Input *input, size_t len);

extern void *fuzz_allocate(size_t len);
extern bool fuzz_decode(const char *text, size_t len, unsigned char *bytes, size_t *bytes_len);
extern char *fuzz_encode(const unsigned char *bytes, size_t len, char *text);
extern char *fuzz_pem(const char *label, const unsigned char *der, size_t der_len, size_t *len);

/* A key pair that was made for one algorithm and suits others. */
typedef struct FuzzKey
{
	const char *name;			/* of the algorithm it was made for */
	const char *suits;
	JoseKey    *pair;
	JoseKey    *public_half;	/* of a secret: the same secret */
} FuzzKey;

/* The keys that sign, and as many strangers of the same kinds after them. */
#define FUZZ_SIGNERS	8
#define FUZZ_KEYS		(2 * FUZZ_SIGNERS)

extern FuzzKey fuzz_keys[FUZZ_KEYS];

/* The only tokens that anybody has signed: one for each signer and algorithm that suits it. */
typedef struct FuzzToken
{
	const FuzzKey *key;
	const JoseAlg *alg;
	char		text[1024];
	size_t		len;
	JwsParts	parts;
	unsigned char decoded[1024];
} FuzzToken;

#define FUZZ_TOKENS		17

extern FuzzToken fuzz_tokens[FUZZ_TOKENS];

extern void fuzz_start(void);
extern void fuzz_make_keys(void);
extern void fuzz_make_tokens(void);
extern bool fuzz_suits(const FuzzKey *key, const JoseAlg *alg);
extern size_t fuzz_signature_len(const JoseKey *key, const JoseAlg *alg);
extern void fuzz_check_key(JoseKey *key, const JoseAlg *alg);

/*
 * An input of the target jwk is a row of members: a tag, the length, the data.
 * With FUZZ_ENCODE in the tag these are encoded as base64url, so that bytes that
 * mutate stay well-formed text.
 */
enum
{
	FUZZ_ALG = JWK_MEMBERS,
	FUZZ_MEMBERS,
};

#define FUZZ_ENCODE		0x80

/*
 * An input of the target pem is an algorithm, a label, and the text that goes
 * with label 0, or the DER that goes with one of these, counted from 1.
 */
typedef struct FuzzLabel
{
	const char *name;
	uint64_t	as_private;		/* what can be said of it, statuses */
	uint64_t	as_public;
} FuzzLabel;

#define FUZZ_LABELS		14

extern const FuzzLabel fuzz_labels[FUZZ_LABELS];

/*
 * An input of the target verify is an algorithm, a key, a byte that is odd for
 * its private half, header and payload, each after its length, and the
 * signature.  One of the target sign is an algorithm, a key, another algorithm,
 * what to change, where (two bytes), and what to sign.  A length is two bytes,
 * the first more significant.
 */

#endif							/* JWT_AUTH_FUZZ_H */
