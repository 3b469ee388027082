/* files.h: the files of the host, through the streams of the C library.
 *
 * Grants: opening, reading and writing files of the HOST.
 *
 * Powers of the library's own: everything. fopen opens, creates and truncates any file that the host
 * process may, whatever --dir says. On Linux one of them is /proc/self/mem, the memory of the process itself:
 * a guest that gets this interface is as trusted as the host's own code, and nothing else here confines it. It
 * blocks where a file does (a FIFO, a terminal). "ccs=" in a mode loads converters of the C library.
 * WASI's files, which the guest's own fopen opens, are what other guests should use.
 *
 * A stream that the guest forgets is closed when its store goes, and written out then.
 *
 * Left out:
 *  - fdopen and fileno: descriptors of the host process by their numbers.
 *  - setvbuf and its like, which keep a pointer into the guest's memory; fmemopen, open_memstream, fopencookie,
 *    which keep one too, or functions.
 *  - getline and getdelim, which reallocate the caller's buffer; fscanf, whose arguments no check reads
 *    beforehand; vfprintf: a va_list cannot be passed.
 *  - popen (it starts programs), freopen, remove, rename, wide characters.
 *  - fflush of all streams: those of the host are among them.
 *
 * For guests in C: wasi-libc has functions of the same names (see libc.h). What C would pass otherwise is
 * hidden from compilers.
 */
#ifndef PORTCULLIS_FILES_H
#define PORTCULLIS_FILES_H

#include <stdio.h>
#include <sys/types.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libc.so.6" module "files"
typedef FILE file __drop(fclose); /* what closes a stream that is forgotten */
#endif
PORTCULLIS_MODULE("files")

/* Open and close. A stream is closed even if fclose reports an error. */
FILE *_Nullable fopen(const char *path, const char *mode) __errno;
#ifdef __PORTCULLIS__
FILE *_Nullable tmpfile(void) __errno;
#endif
int fclose(FILE *__consumes stream) __errno;
int fflush(FILE *stream) __errno;

/* Read */
size_t fread(void *_Out_ __sized_by(size * n) data, size_t size, size_t n, FILE *stream) __errno;
char *_Nullable fgets(char *_Out_ __counted_by(n) s, int n, FILE *stream) __errno;
int fgetc(FILE *stream) __errno;
int ungetc(int c, FILE *stream);

/* Write */
size_t fwrite(const void *__sized_by(size * n) data, size_t size, size_t n, FILE *stream) __errno;
int fputs(const char *s, FILE *stream) __errno;
int fputc(int c, FILE *stream) __errno;
/* Imported by a prototype that names the arguments: see snprintf in libc.h. */
#ifdef __PORTCULLIS__
int fprintf(FILE *stream, const char *format, ...) __format(printf, 2, 3) __errno;
#endif

/* Where it stands. ftell and fseek count in a `long`: beyond 2 GiB a 32-bit guest needs the others. */
int fseek(FILE *stream, long offset, int whence) __errno;
long ftell(FILE *stream) __errno;
#ifdef __PORTCULLIS__
int fseeko(FILE *stream, off_t offset, int whence) __errno;
off_t ftello(FILE *stream) __errno;
#endif
void rewind(FILE *stream) __errno;
int feof(FILE *stream);
int ferror(FILE *stream);
void clearerr(FILE *stream);

PORTCULLIS_END

#endif /* PORTCULLIS_FILES_H */
