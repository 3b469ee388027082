// Draws the Mandelbrot set and writes it as a PNG, with the libpng of the host.
//
// Pixels are made here, the file is written here, through WASI; what the library does is one call each way.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pngshim.h"

enum { WIDTH = 256, HEIGHT = 256, CHANNELS = 3, LIMIT = 200, EXIT_USAGE = 2 };

static uint8_t pixels[HEIGHT][WIDTH][CHANNELS];
static uint8_t again[HEIGHT][WIDTH][CHANNELS];

// How many steps it takes z = z * z + c to leave the circle of radius 2.
static int steps(double cr, double ci)
{
    double zr = 0, zi = 0;
    int n = 0;
    while (n < LIMIT && zr * zr + zi * zi <= 4) {
        double next = zr * zr - zi * zi + cr;
        zi = 2 * zr * zi + ci;
        zr = next;
        n++;
    }
    return n;
}

static void draw(void)
{
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            int n = steps(-2.2 + 3.2 * x / WIDTH, -1.6 + 3.2 * y / HEIGHT);
            uint8_t *pixel = pixels[y][x];
            if (n == LIMIT)
                continue; // black
            pixel[0] = (uint8_t)(n < 32 ? 8 * n : 255);
            pixel[1] = (uint8_t)(n < 64 ? 4 * n : 255);
            pixel[2] = (uint8_t)(96 + (n < 53 ? 3 * n : 159));
        }
    }
}

// FNV-1a, to compare pictures by.
static uint32_t hash(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < size; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return value;
}

static int save(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc > 2) {
        fprintf(stderr, "usage: picture [FILE.png]\n");
        return EXIT_USAGE;
    }
    char message[PNGSHIM_MESSAGE];
    size_t size = pngshim_bound(WIDTH, HEIGHT, CHANNELS);
    uint8_t *png = malloc(size);
    if (png == NULL) {
        fprintf(stderr, "picture: no memory\n");
        return EXIT_FAILURE;
    }

    draw();
    if (pngshim_encode(WIDTH, HEIGHT, CHANNELS, &pixels[0][0][0], png, &size, message) != 0) {
        fprintf(stderr, "picture: %s\n", message);
        return EXIT_FAILURE;
    }
    printf("%d by %d pixels, hash %08x\n", WIDTH, HEIGHT, (unsigned)hash(pixels, sizeof pixels));
    printf("a PNG: %s, less than a quarter of the pixels: %s\n", memcmp(png, "\x89PNG\r\n\x1a\n", 8) == 0 ? "yes" : "no",
           size < sizeof pixels / 4 ? "yes" : "no");

    uint32_t width, height;
    int channels;
    if (pngshim_info(png, size, &width, &height, &channels, message) == 0)
        printf("read: %u by %u pixels of %d channels\n", (unsigned)width, (unsigned)height, channels);
    if (pngshim_decode(png, size, CHANNELS, &again[0][0][0], sizeof again, message) == 0)
        printf("read: %s\n", memcmp(again, pixels, sizeof again) == 0 ? "the same pixels" : "other pixels");

    // What can go wrong.
    if (pngshim_decode(png, size, CHANNELS, &again[0][0][0], sizeof again - 1, message) != 0)
        printf("a byte too little room: %s\n", message);
    if (pngshim_info((const uint8_t *)"GIF89a..", 8, &width, &height, &channels, message) != 0)
        printf("a GIF: %s\n", message);
    if (pngshim_decode(png, size / 2, CHANNELS, &again[0][0][0], sizeof again, message) != 0)
        printf("half a file: %s\n", message);
    size_t little = 100;
    static uint8_t room[100];
    if (pngshim_encode(WIDTH, HEIGHT, CHANNELS, &pixels[0][0][0], room, &little, message) != 0)
        printf("room for 100 bytes: more is needed: %s\n", little > sizeof room ? "yes" : "no");

    int status = argc == 2 ? save(argv[1], png, size) : EXIT_SUCCESS;
    free(png);
    return status;
}
