/* zlib.h: compression in memory and checksums of zlib.
 *
 * Grants: pure computation on the guest's own memory. A call allocates up to about 300 KiB of
 * native memory and frees it before it returns.
 *
 * Powers of the library's own: none of those granted here. The functions that open files are in
 * gzfile.h, so that granting compression does not grant the file system.
 *
 * Narrower than zlib itself, where a careless argument would harm the host:
 *  - zError reads a table without looking at its argument: only zlib's own codes are accepted.
 *  - crc32_combine and crc32_combine_gen never return for a negative length, crc32_combine_op for
 *    an operator of 0: these trap.
 *
 * Left out:
 *  - z_stream and the functions that take one (deflate, inflate, ...): with the next version of
 *    Portcullis, as boxed objects. inflateBack, whose window zlib keeps, likewise.
 *  - gzdopen: it would adopt any open descriptor of the host process.
 *  - crc32_combine64 and the other 64 forms: z_off_t has 64 bits here anyway.
 */
#ifndef PORTCULLIS_ZLIB_H
#define PORTCULLIS_ZLIB_H

#include <stddef.h>
#include <sys/types.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libz.so.1" module "zlib"
#endif
PORTCULLIS_MODULE("zlib")

typedef unsigned char Byte;
typedef Byte Bytef;
typedef unsigned int uInt;
typedef unsigned long uLong;
typedef uLong uLongf;
typedef size_t z_size_t;
typedef off_t z_off_t;
typedef unsigned int z_crc_t;

#define Z_NULL 0

/* Results */
#define Z_OK 0
#define Z_STREAM_END 1
#define Z_NEED_DICT 2
#define Z_ERRNO (-1)
#define Z_STREAM_ERROR (-2)
#define Z_DATA_ERROR (-3)
#define Z_MEM_ERROR (-4)
#define Z_BUF_ERROR (-5)
#define Z_VERSION_ERROR (-6)

/* Levels of compression */
#define Z_NO_COMPRESSION 0
#define Z_BEST_SPEED 1
#define Z_BEST_COMPRESSION 9
#define Z_DEFAULT_COMPRESSION (-1)

/* The library */
const char *zlibVersion(void);
uLong zlibCompileFlags(void);
const char *zError(int code __range(-6, 2));

/* Compression. *destLen is the room in dest before the call and what is used of it after. */
uLong compressBound(uLong sourceLen);
int compress(Bytef *_Out_ __counted_by(*destLen) dest, uLongf *_Inout_ destLen,
             const Bytef *__counted_by(sourceLen) source, uLong sourceLen);
int compress2(Bytef *_Out_ __counted_by(*destLen) dest, uLongf *_Inout_ destLen,
              const Bytef *__counted_by(sourceLen) source, uLong sourceLen, int level);
int uncompress(Bytef *_Out_ __counted_by(*destLen) dest, uLongf *_Inout_ destLen,
               const Bytef *__counted_by(sourceLen) source, uLong sourceLen);
int uncompress2(Bytef *_Out_ __counted_by(*destLen) dest, uLongf *_Inout_ destLen,
                const Bytef *__counted_by(*sourceLen) source, uLong *_Inout_ sourceLen);

/* Checksums. buf may be Z_NULL when len is 0: that gives the initial value. */
uLong adler32(uLong adler, const Bytef *__counted_by(len) buf, uInt len);
uLong adler32_z(uLong adler, const Bytef *__counted_by(len) buf, z_size_t len);
uLong adler32_combine(uLong adler1, uLong adler2, z_off_t len2);
uLong crc32(uLong crc, const Bytef *__counted_by(len) buf, uInt len);
uLong crc32_z(uLong crc, const Bytef *__counted_by(len) buf, z_size_t len);
uLong crc32_combine(uLong crc1, uLong crc2, z_off_t len2) __requires(len2 >= 0);
uLong crc32_combine_gen(z_off_t len2) __requires(len2 >= 0);
uLong crc32_combine_op(uLong crc1, uLong crc2, uLong op) __requires((op & 0xffffffff) != 0);
const z_crc_t *__counted_by(256) __lifetimebound(static) get_crc_table(void);

PORTCULLIS_END

#endif /* PORTCULLIS_ZLIB_H */
