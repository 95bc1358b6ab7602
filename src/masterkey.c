/*
 * masterkey.c
 *	  Wrapping of key material under the master key file.
 *
 * Owns the file and the form of wrapped bytes: a version byte, a random
 * 96-bit nonce, the AES-256-GCM ciphertext, a 128-bit tag (NIST SP 800-38D).
 * A context, such as the key's kid, is authenticated with it, so that wrapped
 * bytes moved to another row do not unwrap.  Errors name the file, never what
 * is in it.
 *
 * The file holds 64 hexadecimal digits and a newline.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "miscadmin.h"
#include "storage/fd.h"

#include "errors.h"
#include "guc.h"
#include "masterkey.h"

#define MASTER_KEY_LEN	32
#define FILE_LEN		(2 * MASTER_KEY_LEN + 1)
#define WRAP_VERSION	1
#define NONCE_LEN		12
#define TAG_LEN			16
#define OVERHEAD		(1 + NONCE_LEN + TAG_LEN)

/* A file as it is set: what the functions below call "file". */
static char *
file_path(const char *file)
{
	if (is_absolute_path(file))
		return pstrdup(file);
	return psprintf("%s/%s", DataDir, file);
}

/* The system refuses; errno says why. */
pg_noreturn static void
raise_io_error(const char *action, const char *file)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("could not %s master key file \"%s\": %m", action, file)));
}

/* Names the file as it is set: the full path is for the server's log alone. */
pg_noreturn static void
raise_file_error(const char *file, const char *problem, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("master key file \"%s\" %s", file, problem),
			 errdetail_log("The file is \"%s\".", file_path(file)),
			 hint != NULL ? errhint("%s", hint) : 0));
}

pg_noreturn static void
raise_crypto(void)
{
	ERR_clear_error();
	jose_raise_key(JOSE_CRYPTO_FAILURE);
}

/*
 * As for the server's TLS key: nobody but the owner, or root's and readable by
 * our group.
 */
static bool
mode_is_safe(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return false;
	if (st->st_uid == geteuid())
		return (st->st_mode & (S_IRWXG | S_IRWXO)) == 0;
	return st->st_uid == 0 && (st->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
}

static int
hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
decode_master_key(const unsigned char *content, ssize_t len, unsigned char *key)
{
	if (len == FILE_LEN && content[FILE_LEN - 1] == '\n')
		len--;
	if (len != 2 * MASTER_KEY_LEN)
		return false;
	for (int i = 0; i < MASTER_KEY_LEN; i++)
	{
		int			high = hex_digit(content[2 * i]);
		int			low = hex_digit(content[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = high << 4 | low;
	}
	return true;
}

/* Reads the master key; false if there is no such file. */
static bool
read_master_key(const char *file, unsigned char *key)
{
	unsigned char content[FILE_LEN + 1];
	struct stat st;
	ssize_t		len;
	bool		ok;
	int			fd = OpenTransientFile(file_path(file), O_RDONLY | PG_BINARY);

	if (fd < 0)
	{
		if (errno == ENOENT)
			return false;
		raise_io_error("open", file);
	}
	if (fstat(fd, &st) != 0 || !mode_is_safe(&st))
		raise_file_error(file, "is not a private file",
						 "It must belong to the server's user with mode 0600, or to root with at most 0640.");
	len = read(fd, content, sizeof(content));
	if (len < 0)
		raise_io_error("read", file);
	CloseTransientFile(fd);
	ok = decode_master_key(content, len, key);
	OPENSSL_cleanse(content, sizeof(content));
	if (!ok)
		raise_file_error(file, "is damaged", "It must hold 64 hexadecimal digits.");
	return true;
}

/* Writes all of a new file, synced, or raises and leaves none. */
static void
write_new_file(const char *file, const char *path, const char *content, size_t len)
{
	int			fd = OpenTransientFilePerm(path, O_WRONLY | O_CREAT | O_EXCL | PG_BINARY, 0600);

	if (fd < 0)
		raise_io_error("create", file);
	errno = 0;
	if (write(fd, content, len) != (ssize_t) len || pg_fsync(fd) != 0 || CloseTransientFile(fd) != 0)
	{
		int			save_errno = errno != 0 ? errno : ENOSPC;

		unlink(path);
		errno = save_errno;
		raise_io_error("write", file);
	}
}

/*
 * Makes a master key.  The file appears whole or not at all, and where two
 * backends make one at once, the first wins and both use it.
 */
static void
create_master_key(const char *file)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char key[MASTER_KEY_LEN];
	char		content[FILE_LEN];
	char	   *path = file_path(file);
	char	   *temporary = psprintf("%s.%d", path, MyProcPid);
	int			link_errno;

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		raise_crypto();
	for (int i = 0; i < MASTER_KEY_LEN; i++)
	{
		content[2 * i] = digits[key[i] >> 4];
		content[2 * i + 1] = digits[key[i] & 15];
	}
	content[FILE_LEN - 1] = '\n';
	OPENSSL_cleanse(key, sizeof(key));

	unlink(temporary);
	write_new_file(file, temporary, content, sizeof(content));
	OPENSSL_cleanse(content, sizeof(content));
	link_errno = link(temporary, path) == 0 ? 0 : errno;
	unlink(temporary);
	errno = link_errno;
	if (errno != 0 && errno != EEXIST)
		raise_io_error("create", file);
	get_parent_directory(temporary);
	fsync_fname(temporary, true);
}

/* The master key that wraps. */
static void
load_master_key(unsigned char *key, bool may_create)
{
	const char *file = jwt_auth_master_key_file;

	if (read_master_key(file, key))
		return;
	if (!may_create)
		raise_file_error(file, "does not exist",
						 "Keys in the database are wrapped under it. Put it back, or revoke these keys and create new ones.");
	create_master_key(file);
	if (!read_master_key(file, key))
		raise_file_error(file, "does not exist", NULL);
}

/* One pass of AES-256-GCM; false if the tag does not fit, or on failure. */
static bool
gcm(bool encrypt, const unsigned char *key, const unsigned char *nonce, const char *context,
	const unsigned char *in, size_t len, unsigned char *out, unsigned char *tag)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char last[16];
	int			n;
	bool		ok;

	ok = ctx != NULL &&
		EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), key, nonce, encrypt, NULL) == 1 &&
		EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *) context, strlen(context)) == 1 &&
		EVP_CipherUpdate(ctx, out, &n, in, len) == 1 &&
		(encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1) &&
		EVP_CipherFinal_ex(ctx, last, &n) == 1 &&
		(!encrypt || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1);
	EVP_CIPHER_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

/*
 * Wraps len bytes, bound to the context.  may_create: nothing is wrapped yet,
 * so a missing master key may be made.  So it may while a previous one is named:
 * what is wrapped is wrapped under that.
 */
bytea *
masterkey_wrap(const unsigned char *plain, size_t len, const char *context, bool may_create)
{
	unsigned char key[MASTER_KEY_LEN];
	bytea	   *wrapped = palloc(VARHDRSZ + OVERHEAD + len);
	unsigned char *nonce = (unsigned char *) VARDATA(wrapped) + 1;
	unsigned char *cipher = nonce + NONCE_LEN;
	bool		ok;

	SET_VARSIZE(wrapped, VARHDRSZ + OVERHEAD + len);
	*VARDATA(wrapped) = WRAP_VERSION;
	load_master_key(key, may_create || jwt_auth_previous_master_key_file[0] != '\0');
	ok = RAND_bytes(nonce, NONCE_LEN) == 1 &&
		gcm(true, key, nonce, context, plain, len, cipher, cipher + len);
	OPENSSL_cleanse(key, sizeof(key));
	if (!ok)
		raise_crypto();
	return wrapped;
}

/* Unwraps with the master key in a file; false where there is none, or another. */
static bool
unwrap_with_file(const char *file, bytea *wrapped, const char *context, unsigned char *plain)
{
	unsigned char key[MASTER_KEY_LEN];
	unsigned char *nonce = (unsigned char *) VARDATA_ANY(wrapped) + 1;
	unsigned char *cipher = nonce + NONCE_LEN;
	size_t		len = VARSIZE_ANY_EXHDR(wrapped) - OVERHEAD;
	bool		ok;

	if (!read_master_key(file, key))
		return false;
	ok = gcm(false, key, nonce, context, cipher, len, plain, cipher + len);
	OPENSSL_cleanse(key, sizeof(key));
	return ok;
}

static bool
is_damaged(bytea *wrapped)
{
	return VARSIZE_ANY_EXHDR(wrapped) <= OVERHEAD || *VARDATA_ANY(wrapped) != WRAP_VERSION;
}

/*
 * Unwraps into palloc'd bytes; NULL where neither the master key file nor the
 * previous one, if there is any, is the one that these bytes were wrapped under.
 */
static unsigned char *
try_unwrap(bytea *wrapped, const char *context, size_t *len)
{
	unsigned char *plain;

	if (is_damaged(wrapped))
		return NULL;
	*len = VARSIZE_ANY_EXHDR(wrapped) - OVERHEAD;
	plain = palloc(*len);
	if (unwrap_with_file(jwt_auth_master_key_file, wrapped, context, plain) ||
		(jwt_auth_previous_master_key_file[0] != '\0' &&
		 unwrap_with_file(jwt_auth_previous_master_key_file, wrapped, context, plain)))
		return plain;

	OPENSSL_cleanse(plain, *len);
	pfree(plain);
	return NULL;
}

/* Whether masterkey_unwrap() would return. */
bool
masterkey_unwraps(bytea *wrapped, const char *context)
{
	size_t		len;
	unsigned char *plain = try_unwrap(wrapped, context, &len);

	if (plain == NULL)
		return false;
	OPENSSL_cleanse(plain, len);
	pfree(plain);
	return true;
}

/* Unwraps into palloc'd bytes, which the caller cleanses, or raises. */
unsigned char *
masterkey_unwrap(bytea *wrapped, const char *context, size_t *len)
{
	unsigned char key[MASTER_KEY_LEN];
	unsigned char *plain = try_unwrap(wrapped, context, len);

	if (plain != NULL)
		return plain;
	if (is_damaged(wrapped))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("wrapped key is damaged")));
	/* says it where there is none */
	load_master_key(key, false);
	OPENSSL_cleanse(key, sizeof(key));
	raise_file_error(jwt_auth_master_key_file, "is not the one that the keys are wrapped under",
					 "Put the right file back, or revoke these keys and create new ones.");
}

/* The same bytes, wrapped again under the master key file of now. */
bytea *
masterkey_rewrap(bytea *wrapped, const char *context)
{
	size_t		len;
	unsigned char *plain = masterkey_unwrap(wrapped, context, &len);
	bytea	   *volatile rewrapped = NULL;

	PG_TRY();
	{
		rewrapped = masterkey_wrap(plain, len, context, false);
	}
	PG_FINALLY();
	{
		OPENSSL_cleanse(plain, len);
	}
	PG_END_TRY();
	return rewrapped;
}
