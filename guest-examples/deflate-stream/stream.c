// Streams 32 MiB through the deflate and the inflate of the host, in a guest of 2 MiB.
//
// Neither what goes in nor what comes out fits in memory: text is made piece by piece, compressed, and what
// comes out is uncompressed at once and compared by its checksum.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zlib.h"

enum { PIECE = 64 * 1024, ROOM = 16 * 1024 };

static const unsigned long long total = 32ull << 20;

static Byte piece[PIECE], packed[ROOM], plain[ROOM];

static void must(const char *what, int code)
{
    if (code != Z_OK) {
        fprintf(stderr, "stream: %s: %s (%d)\n", what, zError(code), code);
        exit(EXIT_FAILURE);
    }
}

// The next piece of an endless text: words that are drawn from a few.
static void make(Byte *to, size_t size)
{
    static const char *const words[] = { "gate ", "wall ", "tower ", "moat ", "bridge ", "guard ", "horn\n", "king " };
    static unsigned state = 7;
    static const char *at = "";
    for (size_t i = 0; i < size; i++) {
        if (*at == '\0') {
            state = state * 1664525u + 1013904223u;
            at = words[state >> 29];
        }
        to[i] = (Byte)*at++;
    }
}

// What comes out at the other end.
struct sink {
    z_stream stream;
    unsigned long long bytes;
    uLong adler;
    int done;
};

static void uncompress_piece(struct sink *sink, Byte *from, uInt size)
{
    sink->stream.next_in = from;
    sink->stream.avail_in = size;
    while (sink->stream.avail_in > 0 && !sink->done) {
        sink->stream.next_out = plain;
        sink->stream.avail_out = ROOM;
        int code = inflate(&sink->stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            sink->done = 1;
        else
            must("inflate", code);
        // zlib moved the pointers on; they are pointers of ours.
        uInt got = (uInt)(sink->stream.next_out - plain);
        sink->adler = adler32(sink->adler, plain, got);
        sink->bytes += got;
    }
}

static void stream(int level)
{
    z_stream in = { 0 };
    struct sink sink = { .adler = adler32(0, Z_NULL, 0) };
    must("deflateInit", deflateInit(&in, level));
    must("inflateInit", inflateInit(&sink.stream));

    uLong adler = adler32(0, Z_NULL, 0);
    unsigned long long made = 0, packed_bytes = 0;
    for (int flush = Z_NO_FLUSH; flush != Z_FINISH;) {
        make(piece, PIECE);
        adler = adler32(adler, piece, PIECE);
        made += PIECE;
        flush = made == total ? Z_FINISH : Z_NO_FLUSH;
        in.next_in = piece;
        in.avail_in = PIECE;
        do {
            in.next_out = packed;
            in.avail_out = ROOM;
            int code = deflate(&in, flush);
            if (code != Z_STREAM_END)
                must("deflate", code);
            packed_bytes += ROOM - in.avail_out;
            uncompress_piece(&sink, packed, ROOM - in.avail_out);
        } while (in.avail_out == 0);
    }

    printf("level %d: %llu bytes made, %llu came out, %s; less than a third in between: %s\n", level, made, sink.bytes,
           adler == sink.adler && sink.done ? "the same" : "different", packed_bytes < made / 3 ? "yes" : "no");
    printf("zlib counted %lu in, %lu out; its own checksum is %s\n", in.total_in, sink.stream.total_out,
           in.adler == adler && sink.stream.adler == adler ? "the same" : "different");
    must("deflateEnd", deflateEnd(&in));
    must("inflateEnd", inflateEnd(&sink.stream));
}

// Preset dictionaries, raw streams, levels that change on the way, and what is wrong.
static void corners(void)
{
    static Byte dictionary[] = "gate wall tower moat bridge guard horn king ";
    Byte out[256], back[256];
    uLong sizes[2];
    for (int with = 0; with < 2; with++) {
        z_stream in = { 0 };
        must("deflateInit2", deflateInit2(&in, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS, 8, Z_DEFAULT_STRATEGY));
        if (with)
            must("deflateSetDictionary", deflateSetDictionary(&in, dictionary, sizeof dictionary - 1));
        in.next_in = (Byte *)"moat bridge guard";
        in.avail_in = 17;
        in.next_out = out;
        in.avail_out = sizeof out;
        int code = deflate(&in, Z_FINISH);
        sizes[with] = in.total_out;
        printf("%s dictionary: %s", with ? "with" : "without", code == Z_STREAM_END ? "packed" : "not packed");
        must("deflateEnd", deflateEnd(&in));

        z_stream un = { 0 };
        must("inflateInit2", inflateInit2(&un, MAX_WBITS));
        un.next_in = out;
        un.avail_in = (uInt)sizes[with];
        un.next_out = back;
        un.avail_out = sizeof back;
        code = inflate(&un, Z_FINISH);
        if (code == Z_NEED_DICT) {
            printf(", the dictionary is asked for");
            must("inflateSetDictionary", inflateSetDictionary(&un, dictionary, sizeof dictionary - 1));
            code = inflate(&un, Z_FINISH);
        }
        printf(", %s: \"%.*s\"\n", code == Z_STREAM_END ? "unpacked" : "not unpacked", (int)un.total_out, back);
        must("inflateEnd", inflateEnd(&un));
    }
    printf("the dictionary helps: %s\n", sizes[1] < sizes[0] ? "yes" : "no");

    z_stream un = { 0 };
    must("inflateInit", inflateInit(&un));
    Byte noise[] = "this is no stream of zlib's";
    un.next_in = noise;
    un.avail_in = sizeof noise;
    un.next_out = back;
    un.avail_out = sizeof back;
    printf("noise: %s\n", zError(inflate(&un, Z_NO_FLUSH)));
    must("inflateReset", inflateReset(&un));
    printf("nothing: %s\n", (un.avail_in = 0, zError(inflate(&un, Z_NO_FLUSH))));
    must("inflateEnd", inflateEnd(&un));

    z_stream odd = { 0 };
    printf("level 17: %s\n", zError(deflateInit(&odd, 17)));
}

int main(void)
{
    stream(Z_BEST_SPEED);
    stream(Z_DEFAULT_COMPRESSION);
    corners();
    return EXIT_SUCCESS;
}
