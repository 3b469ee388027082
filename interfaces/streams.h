/* streams.h: the standard output streams of the host process.
 *
 * Grants: writing to the stdout and stderr of the HOST.
 *
 * Powers of the library's own: what is written goes to the host's own terminal or log, whatever WASI gives
 * the guest, between what the host writes there. It blocks where they do. Grant this to guests that
 * may print, and libc.h to all others. The streams keep what is written until fflush, or until the program
 * ends; WASI knows nothing of that: a guest that prints both ways calls fflush in between.
 *
 * stdout and stderr are data: a guest imports "extern FILE *stdout" (or the plain name) as a function without
 * parameters that returns a handle. It cannot be closed.
 *
 * Left out:
 *  - stdin, and everything that reads: the host's input is the host's.
 *  - fopen and its like (files of the host), fclose, freopen, setvbuf (it keeps a pointer).
 *  - vfprintf: a va_list cannot be passed.
 *
 * For guests in C: see libc.h. What C refuses or would pass otherwise is hidden from it.
 */
#ifndef PORTCULLIS_STREAMS_H
#define PORTCULLIS_STREAMS_H

#include <stdio.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libc.so.6" module "streams"
#endif
PORTCULLIS_MODULE("streams")

#ifdef __PORTCULLIS__
extern FILE *stdout;
extern FILE *stderr;

/* Imported by prototypes that name the arguments: see snprintf in libc.h. */
int fprintf(FILE *stream, const char *format, ...) __format(printf, 2, 3);
int printf(const char *format, ...) __format(printf, 1, 2);
#endif

int fputs(const char *s, FILE *stream);
int fputc(int c, FILE *stream);
int puts(const char *s);
size_t fwrite(const void *__sized_by(size * n) data, size_t size, size_t n, FILE *stream);
int fflush(FILE *_Nullable stream);
int ferror(FILE *stream);
void clearerr(FILE *stream);

PORTCULLIS_END

#endif /* PORTCULLIS_STREAMS_H */
