/* gzfile.h: the gzip files of zlib.
 *
 * Grants: reading and writing files of the HOST, compressed or plain.
 *
 * Powers of the library's own: gzopen opens, creates and truncates any file that the host process
 * may, whatever --dir says, and blocks where such a file does (a FIFO). Grant this to guests that
 * you would give your file system, and zlib.h to all others.
 *
 * A gzFile that the guest forgets is closed when its store goes.
 *
 * Left out:
 *  - gzdopen: it would adopt any open descriptor of the host process.
 *  - gzvprintf: a va_list cannot be passed.
 *  - gzclose_r, gzclose_w: gzclose does what both do.
 *  - gzopen64, gzseek64, gztell64, gzoffset64: off_t has 64 bits here anyway.
 */
#ifndef PORTCULLIS_GZFILE_H
#define PORTCULLIS_GZFILE_H

#include <stddef.h>
#include <sys/types.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libz.so.1" module "gzfile"
#endif
PORTCULLIS_MODULE("gzfile")

typedef struct gzFile_s gzFile_s __drop(gzclose);
typedef gzFile_s *gzFile;

/* Open and close. gzbuffer must come before the first read or write; its limit here is 16 MiB. */
struct gzFile_s *_Nullable gzopen(const char *path, const char *mode) __errno;
int gzbuffer(gzFile file, unsigned int size __range(8, 0x1000000));
int gzsetparams(gzFile file, int level, int strategy);
int gzclose(struct gzFile_s *__consumes file);

/* Read */
int gzread(gzFile file, void *_Out_ __sized_by(len) buf, unsigned int len);
size_t gzfread(void *_Out_ __sized_by(size * nitems) buf, size_t size, size_t nitems, gzFile file);
char *_Nullable gzgets(gzFile file, char *_Out_ __counted_by(len) buf, int len);
int gzgetc(gzFile file);
int gzungetc(int c, gzFile file);

/* Write */
int gzwrite(gzFile file, const void *__sized_by(len) buf, unsigned int len);
size_t gzfwrite(const void *__sized_by(size * nitems) buf, size_t size, size_t nitems, gzFile file);
int gzputs(gzFile file, const char *s);
int gzputc(gzFile file, int c);
int gzflush(gzFile file, int flush);
/* Imported by a prototype that names the arguments: see snprintf in libc.h. */
#ifdef __PORTCULLIS__
int gzprintf(gzFile file, const char *format, ...) __format(printf, 2, 3);
#endif

/* Where it stands */
off_t gzseek(gzFile file, off_t offset, int whence);
int gzrewind(gzFile file);
off_t gztell(gzFile file);
off_t gzoffset(gzFile file);
int gzeof(gzFile file);
int gzdirect(gzFile file);
const char *_Nullable __lifetimebound(file) gzerror(gzFile file, int *_Nullable _Out_ errnum);
void gzclearerr(gzFile file);

PORTCULLIS_END

#endif /* PORTCULLIS_GZFILE_H */
