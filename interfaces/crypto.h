/* crypto.h: digests, HMAC, PBKDF2 and random bytes of OpenSSL's libcrypto, version 3.
 *
 * Grants: computation on the guest's own memory, and random bytes of the host.
 *
 * Powers of the library's own: on its first use libcrypto reads the host's openssl.cnf, which may load
 * providers. Worth knowing all the same:
 *  - Errors are queued for each thread of the host, not for each guest: ERR_get_error may return what the
 *    host's own use of OpenSSL left there, and takes it away.
 *  - PBKDF2 takes as long as its iterations ask for. The limit, 10 million rounds of 16 bytes of key, is a
 *    matter of seconds.
 *
 * Contexts are handles, freed when their store goes. An EVP_MD is a handle of a constant that the
 * library keeps.
 *
 * Narrower than OpenSSL itself:
 *  - A context is used after a successful EVP_DigestInit_ex, until EVP_DigestFinal_ex: some versions of 3.0
 *    call through NULL otherwise, and after the end results mean nothing.
 *  - EVP_DigestInit_ex takes a digest each time. Engines and library contexts are NULL.
 *  - A digest is written to 64 bytes at most (EVP_MAX_MD_SIZE), and the guest has to have so many there,
 *    although fewer may be written.
 *  - HMAC writes to the caller's buffer: its own static one is shared by the whole process.
 *
 *  - SHA256_CTX and MD5_CTX are structs that libcrypto trusts: the real ones are in native memory, the guest's own
 *    only name them. Init makes one, Final ends it; one that is initialised twice without is there until the
 *    store goes. OpenSSL 3 calls these functions deprecated.
 *
 * Left out:
 *  - Control functions (EVP_MD_CTX_ctrl), OSSL_PARAM arrays, engines, providers, EVP_MD_fetch, BIO, X.509,
 *    keys.
 *  - EVP_MD_CTX_copy_ex: it empties the destination first, which could be the source.
 *  - Ciphers: how much EVP_EncryptUpdate writes depends on the mode and what is left of earlier calls; a
 *    shim with a bound of its own is the way.
 *  - RAND_seed, RAND_add and OPENSSL_cleanup, which act on the whole process.
 */
#ifndef PORTCULLIS_CRYPTO_H
#define PORTCULLIS_CRYPTO_H

#include <stddef.h>
#include <stdint.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libcrypto.so.3" module "crypto"
#endif
PORTCULLIS_MODULE("crypto")

typedef struct evp_md_st EVP_MD;
typedef struct evp_md_ctx_st EVP_MD_CTX __drop(EVP_MD_CTX_free);

#define EVP_MAX_MD_SIZE 64

/* The library. OpenSSL_version knows 0 (its name and date) to 10. */
const char *OpenSSL_version(int what);
unsigned long OpenSSL_version_num(void);

/* Digests. NULL: there is none of this name. */
const EVP_MD *__borrowed EVP_md5(void);
const EVP_MD *__borrowed EVP_sha1(void);
const EVP_MD *__borrowed EVP_sha224(void);
const EVP_MD *__borrowed EVP_sha256(void);
const EVP_MD *__borrowed EVP_sha384(void);
const EVP_MD *__borrowed EVP_sha512(void);
const EVP_MD *__borrowed EVP_sha3_256(void);
const EVP_MD *__borrowed EVP_sha3_512(void);
const EVP_MD *__borrowed EVP_blake2s256(void);
const EVP_MD *__borrowed EVP_blake2b512(void);
const EVP_MD *_Nullable __borrowed EVP_get_digestbyname(const char *name);
int EVP_MD_get_size(const EVP_MD *md);
int EVP_MD_get_block_size(const EVP_MD *md);
int EVP_MD_get_type(const EVP_MD *md);
const char *_Nullable EVP_MD_get0_name(const EVP_MD *md);

/* Piece by piece */
EVP_MD_CTX *_Nullable EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *_Nullable __consumes ctx);
int EVP_DigestInit_ex(EVP_MD_CTX *__remember(ready = return) ctx, const EVP_MD *type,
                      intptr_t engine __range(0));
int EVP_DigestUpdate(EVP_MD_CTX *ctx, const void *__sized_by(count) data, size_t count)
    __requires(ctx.ready == 1);
int EVP_DigestFinal_ex(EVP_MD_CTX *__remember(ready = 0) ctx,
                       unsigned char *_Out_ __counted_by(EVP_MAX_MD_SIZE) md,
                       unsigned int *_Nullable _Out_ size) __requires(ctx.ready == 1);

/* Piece by piece, as before OpenSSL 3 */
typedef struct SHA256state_st {
    unsigned int h[8] __private;
    unsigned int Nl __private, Nh __private;
    unsigned int data[16] __private;
    unsigned int num __private, md_len __private;
} SHA256_CTX __boxed;
typedef struct MD5state_st {
    unsigned int A __private, B __private, C __private, D __private;
    unsigned int Nl __private, Nh __private;
    unsigned int data[16] __private;
    unsigned int num __private;
} MD5_CTX __boxed;

#define SHA256_DIGEST_LENGTH 32
#define MD5_DIGEST_LENGTH 16

int SHA256_Init(SHA256_CTX *_Out_ c);
int SHA256_Update(SHA256_CTX *c, const void *__sized_by(len) data, size_t len);
int SHA256_Final(unsigned char *_Out_ __counted_by(SHA256_DIGEST_LENGTH) md, SHA256_CTX *__consumes c);
int MD5_Init(MD5_CTX *_Out_ c);
int MD5_Update(MD5_CTX *c, const void *__sized_by(len) data, size_t len);
int MD5_Final(unsigned char *_Out_ __counted_by(MD5_DIGEST_LENGTH) md, MD5_CTX *__consumes c);

/* All at once */
int EVP_Digest(const void *__sized_by(count) data, size_t count,
               unsigned char *_Out_ __counted_by(EVP_MAX_MD_SIZE) md, unsigned int *_Nullable _Out_ size,
               const EVP_MD *type, intptr_t engine __range(0));
int EVP_Q_digest(intptr_t libctx __range(0), const char *name, const char *_Nullable propq,
                 const void *__sized_by(datalen) data, size_t datalen,
                 unsigned char *_Out_ __counted_by(EVP_MAX_MD_SIZE) md, size_t *_Nullable _Out_ mdlen);
unsigned char *_Nullable HMAC(const EVP_MD *type, const void *__sized_by(key_len) key, int key_len,
                              const unsigned char *__counted_by(data_len) data, size_t data_len,
                              unsigned char *_Out_ __counted_by(EVP_MAX_MD_SIZE) md,
                              unsigned int *_Nullable _Out_ md_len);
int PKCS5_PBKDF2_HMAC(const char *__counted_by(passlen) pass, int passlen,
                      const unsigned char *__counted_by(saltlen) salt, int saltlen,
                      int iter __range(1, 10000000), const EVP_MD *digest, int keylen,
                      unsigned char *_Out_ __counted_by(keylen) out)
    __requires(keylen > 0 && iter * ((keylen + 15) / 16) <= 10000000);

/* Comparison in a time that does not depend on where the difference is; random bytes */
int CRYPTO_memcmp(const void *__sized_by(len) a, const void *__sized_by(len) b, size_t len);
int RAND_bytes(unsigned char *_Out_ __counted_by(num) buf, int num);

/* Errors, and what they mean. 256 bytes are enough for any. */
unsigned long ERR_get_error(void);
unsigned long ERR_peek_error(void);
void ERR_clear_error(void);
void ERR_error_string_n(unsigned long error, char *_Out_ __counted_by(len) buf, size_t len);

PORTCULLIS_END

#endif /* PORTCULLIS_CRYPTO_H */
