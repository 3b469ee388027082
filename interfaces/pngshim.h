/* pngshim.h: PNG pictures in memory, through a shim in front of libpng.
 *
 * Grants: turning pixels into PNG and back, on the guest's own memory. No files.
 *
 * Powers of the library's own: memory and time. A call allocates a few rows of the picture, and at most some
 * MiB for what a hostile PNG announces (libpng's own limits: a million pixels a side, 8 MB a chunk).
 *
 * Why a shim. libpng reports errors with longjmp, reads and writes with functions of the caller's, and even in
 * its simplified API keeps a pointer to the file's bytes between two calls and believes the caller's
 * png_image about width and height. Annotations can say little of that; shims/png.c does a whole
 * picture in one call and checks the room itself. Build it first:
 *
 *     cc -O2 -shared -fPIC -o libportcullis_png.so interfaces/shims/png.c -lpng16
 *     portcullis run --grant interfaces/pngshim.h --library libportcullis_png.so=$PWD/libportcullis_png.so ...
 *
 * Channels: 1 gray, 2 gray and alpha, 3 RGB, 4 RGBA; one byte each, sRGB, rows from the top without gaps.
 * 16-bit pictures, palettes and interlacing are read too, and come out as these.
 */
#ifndef PORTCULLIS_PNGSHIM_H
#define PORTCULLIS_PNGSHIM_H

#include <stddef.h>
#include <stdint.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libportcullis_png.so" module "png"
#endif
PORTCULLIS_MODULE("png")

/* All return 0, or 1 and what is wrong in message. */
#define PNGSHIM_MESSAGE 64

/* Enough room for any picture of that size; 0 for no picture. */
size_t pngshim_bound(uint32_t width, uint32_t height, int channels);

/* *size is the room in png before the call, and after it what is used, or what would be needed. */
int pngshim_encode(uint32_t width, uint32_t height, int channels __range(1, 4),
                   const uint8_t *__counted_by(width * height * channels) pixels,
                   uint8_t *_Out_ __counted_by(*size) png, size_t *_Inout_ size,
                   char *_Out_ __counted_by(PNGSHIM_MESSAGE) message);

/* What a PNG holds: its channels are those that lose nothing but depth. */
int pngshim_info(const uint8_t *__counted_by(size) png, size_t size, uint32_t *_Out_ width,
                 uint32_t *_Out_ height, int *_Out_ channels,
                 char *_Out_ __counted_by(PNGSHIM_MESSAGE) message);

/* The pixels, with as many channels as the caller wants; room is in bytes. */
int pngshim_decode(const uint8_t *__counted_by(size) png, size_t size, int channels __range(1, 4),
                   uint8_t *_Out_ __counted_by(room) pixels, size_t room,
                   char *_Out_ __counted_by(PNGSHIM_MESSAGE) message);

PORTCULLIS_END

#endif /* PORTCULLIS_PNGSHIM_H */
