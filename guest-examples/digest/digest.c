// Digests of files, by the libcrypto of the host; without a file, of test vectors.
//
// The file is read by this program, through WASI, once for all algorithms.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto.h"

enum { PIECE = 4096, EXIT_USAGE = 2 };

static void print_hex(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf("%02x", bytes[i]);
}

// Ends the program when libcrypto refused; the text is its own.
static void must(const char *what, int ok)
{
    if (ok != 1) {
        char text[256];
        ERR_error_string_n(ERR_get_error(), text, sizeof text);
        fprintf(stderr, "digest: %s: %s\n", what, text);
        exit(EXIT_FAILURE);
    }
}

struct digest {
    const EVP_MD *md;
    EVP_MD_CTX *ctx;
};

static struct digest start(const EVP_MD *md)
{
    struct digest digest = { md, EVP_MD_CTX_new() };
    must("EVP_MD_CTX_new", digest.ctx != NULL);
    must("EVP_DigestInit_ex", EVP_DigestInit_ex(digest.ctx, md, 0));
    return digest;
}

static void finish(struct digest digest, const char *of)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size;
    must("EVP_DigestFinal_ex", EVP_DigestFinal_ex(digest.ctx, bytes, &size));
    EVP_MD_CTX_free(digest.ctx);
    printf("%-11s ", EVP_MD_get0_name(digest.md));
    print_hex(bytes, size);
    printf("  %s\n", of);
}

static int digest_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "digest: %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    struct digest digests[] = { start(EVP_md5()), start(EVP_sha1()), start(EVP_sha256()), start(EVP_sha512()),
                                start(EVP_sha3_256()), start(EVP_blake2b512()) };
    size_t n = sizeof digests / sizeof *digests;
    char piece[PIECE];
    size_t got;
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        for (size_t i = 0; i < n; i++)
            must("EVP_DigestUpdate", EVP_DigestUpdate(digests[i].ctx, piece, got));
    int failed = ferror(file);
    fclose(file);
    for (size_t i = 0; i < n; i++)
        finish(digests[i], path);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

// FIPS 180-2: a million times "a", here in pieces of odd sizes.
static void million(void)
{
    char piece[997];
    memset(piece, 'a', sizeof piece);
    struct digest digest = start(EVP_sha256());
    for (size_t left = 1000000, n; left > 0; left -= n) {
        n = left < sizeof piece ? left : sizeof piece;
        must("EVP_DigestUpdate", EVP_DigestUpdate(digest.ctx, piece, n));
    }
    finish(digest, "a million times a");

    // The same with the structs of earlier versions, which are copied in between: both are the one state.
    SHA256_CTX one, other;
    MD5_CTX md5;
    must("SHA256_Init", SHA256_Init(&one));
    must("MD5_Init", MD5_Init(&md5));
    for (size_t left = 1000000, n; left > 0; left -= n) {
        n = left < sizeof piece ? left : sizeof piece;
        memcpy(&other, &one, sizeof other);
        must("SHA256_Update", SHA256_Update(&other, piece, n));
        memcpy(&one, &other, sizeof one);
        must("MD5_Update", MD5_Update(&md5, piece, n));
    }
    unsigned char bytes[SHA256_DIGEST_LENGTH];
    must("SHA256_Final", SHA256_Final(bytes, &one));
    printf("SHA256_CTX  ");
    print_hex(bytes, SHA256_DIGEST_LENGTH);
    must("MD5_Final", MD5_Final(bytes, &md5));
    printf("\nMD5_CTX     ");
    print_hex(bytes, MD5_DIGEST_LENGTH);
    printf("\n");
}

static void vectors(void)
{
    static const char *const names[] = { "MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "SHA3-256",
                                         "BLAKE2s256", "NO-SUCH" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const EVP_MD *md = EVP_get_digestbyname(names[i]);
        if (md == NULL) {
            printf("%-11s is not known\n", names[i]);
            continue;
        }
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned size;
        must("EVP_Digest", EVP_Digest("abc", 3, bytes, &size, md, 0));
        printf("%-11s %d bytes from blocks of %d: ", names[i], EVP_MD_get_size(md), EVP_MD_get_block_size(md));
        print_hex(bytes, size);
        printf("\n");
    }
    million();

    // RFC 4231, case 2.
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    static const unsigned char data[] = "what do ya want for nothing?";
    unsigned char *where = HMAC(EVP_sha256(), "Jefe", 4, data, sizeof data - 1, bytes, &size);
    printf("HMAC        ");
    print_hex(bytes, size);
    printf("%s\n", where == bytes ? "" : " (elsewhere)");

    // RFC 7914, section 11.
    static const unsigned char salt[] = "salt";
    must("PBKDF2", PKCS5_PBKDF2_HMAC("passwd", 6, salt, 4, 1, EVP_sha256(), 32, bytes));
    printf("PBKDF2      ");
    print_hex(bytes, 32);
    printf("\n");

    unsigned char random[2][16];
    must("RAND_bytes", RAND_bytes(random[0], 16));
    must("RAND_bytes", RAND_bytes(random[1], 16));
    printf("twice the same random bytes: %s\n", CRYPTO_memcmp(random[0], random[1], 16) == 0 ? "yes" : "no");

    ERR_clear_error();
    size_t n;
    int ok = EVP_Q_digest(0, "NO-SUCH", NULL, "", 0, bytes, &n);
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    printf("unknown: %d, %s\n", ok, text);
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: digest [FILE]\n");
        return EXIT_USAGE;
    }
    if (argc == 2)
        return digest_file(argv[1]);
    vectors();
    return EXIT_SUCCESS;
}
