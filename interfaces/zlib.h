/* zlib.h: compression in memory, streams and checksums of zlib.
 *
 * Grants: pure computation on the guest's own memory. A call allocates up to about 300 KiB of
 * native memory and frees it before it returns; a stream keeps as much until it is ended. Streams that
 * the guest forgets are ended when its store goes.
 *
 * Powers of the library's own: none of those granted here. The functions that open files are in
 * gzfile.h, so that granting compression does not grant the file system.
 *
 * Narrower than zlib itself, where a careless argument would harm the host:
 *  - zError reads a table without looking at its argument: only zlib's own codes are accepted.
 *  - crc32_combine and crc32_combine_gen never return for a negative length, crc32_combine_op for
 *    an operator of 0: these trap.
 *  - z_stream. zlib keeps pointers into it and trusts its `state`, so that the real one is in native memory.
 *    The guest's own has the same fields as ever: what it sets before a call (next_in, avail_in, next_out,
 *    avail_out) and reads after it is copied to and fro, and the buffers are checked at each call. msg is
 *    always NULL; zalloc, zfree and opaque are not looked at. A copy of a z_stream names the same stream.
 *  - A stream is for deflate or for inflate, as its Init says: Portcullis knows two types of
 *    them, where C has one.
 *  - deflateGetDictionary and inflateGetDictionary write up to 32768 bytes.
 *
 * Left out:
 *  - deflateSetHeader, inflateGetHeader: zlib keeps the pointer, and writes there later. inflateBack: functions
 *    of the guest would supply its buffers. deflateTune, inflateUndermine.
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
#define ZLIB_VERNUM 0x12d0 /* of the header that this one follows; zlibVersion() is the library's */

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

/* How much to flush, how to compress, what data looks like */
#define Z_NO_FLUSH 0
#define Z_PARTIAL_FLUSH 1
#define Z_SYNC_FLUSH 2
#define Z_FULL_FLUSH 3
#define Z_FINISH 4
#define Z_BLOCK 5
#define Z_TREES 6
#define Z_FILTERED 1
#define Z_HUFFMAN_ONLY 2
#define Z_RLE 3
#define Z_FIXED 4
#define Z_DEFAULT_STRATEGY 0
#define Z_BINARY 0
#define Z_TEXT 1
#define Z_UNKNOWN 2
#define Z_DEFLATED 8
#define MAX_WBITS 15
#define MAX_MEM_LEVEL 9

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

/* Streams. For C both are the one z_stream. */
typedef struct deflate_stream {
    const Bytef *_Nullable __counted_by(avail_in) next_in;
    uInt avail_in;
    uLong total_in;
    Bytef *_Nullable __counted_by(avail_out) next_out;
    uInt avail_out;
    uLong total_out;
    const char *msg __private;
    struct internal_state *state __private;
    void *zalloc __private;
    void *zfree __private;
    void *opaque __private;
    int data_type;
    uLong adler;
    uLong reserved __private;
} deflate_stream __boxed __drop(deflateEnd);
#ifdef __PORTCULLIS__
typedef struct inflate_stream {
    const Bytef *_Nullable __counted_by(avail_in) next_in;
    uInt avail_in;
    uLong total_in;
    Bytef *_Nullable __counted_by(avail_out) next_out;
    uInt avail_out;
    uLong total_out;
    const char *msg __private;
    struct internal_state *state __private;
    void *zalloc __private;
    void *zfree __private;
    void *opaque __private;
    int data_type;
    uLong adler;
    uLong reserved __private;
} inflate_stream __boxed __drop(inflateEnd);
#else
typedef deflate_stream inflate_stream, z_stream;
typedef z_stream *z_streamp;

/* zlib's own macros: the version is the one that these declarations are of. */
#define ZLIB_VERSION "1.2.13"
#define deflateInit(strm, level) deflateInit_((strm), (level), ZLIB_VERSION, (int)sizeof(z_stream))
#define deflateInit2(strm, level, method, windowBits, memLevel, strategy)                             \
    deflateInit2_((strm), (level), (method), (windowBits), (memLevel), (strategy), ZLIB_VERSION, \
                  (int)sizeof(z_stream))
#define inflateInit(strm) inflateInit_((strm), ZLIB_VERSION, (int)sizeof(z_stream))
#define inflateInit2(strm, windowBits)                                                                \
    inflateInit2_((strm), (windowBits), ZLIB_VERSION, (int)sizeof(z_stream))
#endif

/* Their size differs between guest and host: zlib is told its own. */
int deflateInit_(deflate_stream *_Out_ strm, int level, const char *version,
                 int stream_size __value(sizeof(deflate_stream)));
int deflateInit2_(deflate_stream *_Out_ strm, int level, int method, int windowBits, int memLevel,
                  int strategy, const char *version, int stream_size __value(sizeof(deflate_stream)));
int deflate(deflate_stream *strm, int flush);
int deflateEnd(deflate_stream *__consumes strm);
int deflateReset(deflate_stream *strm);
int deflateCopy(deflate_stream *_Out_ dest, deflate_stream *source);
int deflateParams(deflate_stream *strm, int level, int strategy);
uLong deflateBound(deflate_stream *strm, uLong sourceLen);
int deflatePending(deflate_stream *strm, unsigned *_Nullable _Out_ pending, int *_Nullable _Out_ bits);
int deflatePrime(deflate_stream *strm, int bits __range(0, 16), int value);
int deflateSetDictionary(deflate_stream *strm, const Bytef *__counted_by(dictLength) dictionary,
                         uInt dictLength);
int deflateGetDictionary(deflate_stream *strm, Bytef *_Out_ __counted_by_or_null(32768) dictionary,
                         uInt *_Nullable _Out_ dictLength);

int inflateInit_(inflate_stream *_Out_ strm, const char *version,
                 int stream_size __value(sizeof(inflate_stream)));
int inflateInit2_(inflate_stream *_Out_ strm, int windowBits, const char *version,
                  int stream_size __value(sizeof(inflate_stream)));
int inflate(inflate_stream *strm, int flush);
int inflateEnd(inflate_stream *__consumes strm);
int inflateReset(inflate_stream *strm);
int inflateCopy(inflate_stream *_Out_ dest, inflate_stream *source);
int inflateReset2(inflate_stream *strm, int windowBits);
int inflateSync(inflate_stream *strm);
int inflateSyncPoint(inflate_stream *strm);
int inflatePrime(inflate_stream *strm, int bits __range(-1, 16), int value);
long inflateMark(inflate_stream *strm);
unsigned long inflateCodesUsed(inflate_stream *strm);
int inflateSetDictionary(inflate_stream *strm, const Bytef *__counted_by(dictLength) dictionary,
                         uInt dictLength);
int inflateGetDictionary(inflate_stream *strm, Bytef *_Out_ __counted_by_or_null(32768) dictionary,
                         uInt *_Nullable _Out_ dictLength);

PORTCULLIS_END

#endif /* PORTCULLIS_ZLIB_H */
