// Compresses a file with the zlib of the host, uncompresses it again and compares.
//
// The header is the interface that the host grants; each function of it that is called here is an
// import of the module "zlib". Compiled for the machine itself it calls the same library directly:
// both must print the same.
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zlib.h"

enum { EXIT_USAGE = 2 };

struct bytes {
    Byte *data;
    uLong size;
};

static void *allocate(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (memory == NULL) {
        fprintf(stderr, "zlib: no memory for %zu bytes\n", size);
        exit(EXIT_FAILURE);
    }
    return memory;
}

// Ends the program when zlib refused; the text is zlib's own, a string of the host.
static void must(const char *what, int code)
{
    if (code != Z_OK) {
        fprintf(stderr, "zlib: %s: %s (%d)\n", what, zError(code), code);
        exit(EXIT_FAILURE);
    }
}

static struct bytes read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    size_t room = 1 << 16;
    struct bytes content = { allocate(room), 0 };
    size_t got;
    while ((got = fread(content.data + content.size, 1, room - content.size, file)) > 0) {
        content.size += got;
        if (content.size == room) {
            room *= 2;
            Byte *larger = realloc(content.data, room);
            if (larger == NULL) {
                fprintf(stderr, "%s: too large: no memory for %zu bytes\n", path, room);
                exit(EXIT_FAILURE);
            }
            content.data = larger;
        }
    }
    if (ferror(file)) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return content;
}

static struct bytes compress_all(struct bytes plain, int level)
{
    uLong size = compressBound(plain.size);
    struct bytes packed = { allocate(size), size };
    // packed.size is an `unsigned long`: four bytes here, eight in the library.
    must("compress2", compress2(packed.data, &packed.size, plain.data, plain.size, level));
    return packed;
}

static struct bytes uncompress_all(struct bytes packed, uLong size)
{
    struct bytes plain = { allocate(size), size };
    must("uncompress", uncompress(plain.data, &plain.size, packed.data, packed.size));
    return plain;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: zlib FILE [LEVEL 0 to 9]\n");
        return EXIT_USAGE;
    }
    int level = Z_BEST_COMPRESSION;
    if (argc == 3) {
        char *end;
        long wanted = strtol(argv[2], &end, 10);
        if (end == argv[2] || *end != '\0' || wanted < Z_NO_COMPRESSION || wanted > Z_BEST_COMPRESSION) {
            fprintf(stderr, "zlib: level %s: 0 to 9 is meant\n", argv[2]);
            return EXIT_USAGE;
        }
        level = (int)wanted;
    }

    struct bytes plain = read_file(argv[1]);
    struct bytes packed = compress_all(plain, level);
    struct bytes again = uncompress_all(packed, plain.size);
    if (again.size != plain.size || memcmp(again.data, plain.data, plain.size) != 0) {
        fprintf(stderr, "zlib: %s came back different\n", argv[1]);
        return EXIT_FAILURE;
    }

    uLong crc = crc32_z(crc32_z(0, Z_NULL, 0), plain.data, plain.size);
    printf("zlib %s, level %d\n", zlibVersion(), level);
    printf("%s: %lu bytes, compressed %lu", argv[1], plain.size, packed.size);
    if (plain.size > 0)
        printf(" (%.1f %%)", 100.0 * (double)packed.size / (double)plain.size);
    printf("\ncrc32: %08lx\n", crc);
    printf("uncompressed again: the same %lu bytes\n", again.size);

    free(again.data);
    free(packed.data);
    free(plain.data);
    return EXIT_SUCCESS;
}
