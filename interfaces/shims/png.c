/* png.c: whole pictures in one call, for guests; see ../pngshim.h.
 *
 *     cc -O2 -shared -fPIC -o libportcullis_png.so png.c -lpng16
 */
#include <png.h>
#include <stdio.h>
#include <string.h>

#include "../pngshim.h"

/* Bytes of the pixels. A picture that is larger than 64 bits can count has no room anywhere. */
static uint64_t bytes(uint32_t width, uint32_t height, int channels)
{
    uint64_t row = (uint64_t)width * (unsigned)channels;
    return height != 0 && row > UINT64_MAX / height ? UINT64_MAX : row * height;
}

static png_uint_32 format_of(int channels)
{
    static const png_uint_32 formats[] = { PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB, PNG_FORMAT_RGBA };
    return formats[channels - 1];
}

static int fail(char *message, const char *what)
{
    snprintf(message, PNGSHIM_MESSAGE, "%s", what);
    return 1;
}

size_t pngshim_bound(uint32_t width, uint32_t height, int channels)
{
    if (channels < 1 || channels > 4 || width == 0 || height == 0)
        return 0;
    /* Rows have a byte more, deflate adds a thousandth at worst; the rest is chunks around them. */
    uint64_t raw = bytes(width, height, channels);
    if (raw > SIZE_MAX / 2)
        return 0;
    return raw + height + raw / 8 + 1024;
}

int pngshim_encode(uint32_t width, uint32_t height, int channels, const uint8_t *pixels, uint8_t *png,
                   size_t *size, char *message)
{
    memset(message, 0, PNGSHIM_MESSAGE);
    if (channels < 1 || channels > 4 || width == 0 || height == 0)
        return fail(message, "no picture");
    png_image image = { .version = PNG_IMAGE_VERSION, .width = width, .height = height };
    image.format = format_of(channels);
    png_alloc_size_t used = *size;
    int ok = png_image_write_to_memory(&image, png, &used, 0, pixels, 0, NULL);
    if (!ok)
        fail(message, image.message);
    png_image_free(&image);
    *size = used;
    return !ok;
}

/* Reads the header; the caller frees the image. */
static int begin(png_image *image, const uint8_t *png, size_t size, char *message)
{
    memset(message, 0, PNGSHIM_MESSAGE);
    memset(image, 0, sizeof *image);
    image->version = PNG_IMAGE_VERSION;
    return png_image_begin_read_from_memory(image, png, size) ? 0 : fail(message, image->message);
}

int pngshim_info(const uint8_t *png, size_t size, uint32_t *width, uint32_t *height, int *channels,
                 char *message)
{
    png_image image;
    int failed = begin(&image, png, size, message);
    *width = failed ? 0 : image.width;
    *height = failed ? 0 : image.height;
    *channels = failed ? 0 : (int)PNG_IMAGE_SAMPLE_CHANNELS(image.format & ~PNG_FORMAT_FLAG_COLORMAP);
    png_image_free(&image);
    return failed;
}

int pngshim_decode(const uint8_t *png, size_t size, int channels, uint8_t *pixels, size_t room,
                   char *message)
{
    png_image image;
    if (channels < 1 || channels > 4)
        return fail(message, "no picture");
    int failed = begin(&image, png, size, message);
    if (!failed) {
        image.format = format_of(channels);
        if (bytes(image.width, image.height, channels) > room)
            failed = fail(message, "the picture does not fit in the room for it");
        /* Transparent pixels are put on black where the caller wants no alpha. */
        else if (!png_image_finish_read(&image, &(png_color){ 0, 0, 0 }, pixels, 0, NULL))
            failed = fail(message, image.message);
    }
    png_image_free(&image);
    return failed;
}
