/* libc.h: the part of the C library that is safe to lend and needs no callback and no struct.
 *
 * Grants: computation on the guest's own memory, the clock (time), the process id (getpid) and random
 * bytes (getentropy, rand). No files, no streams, no environment, no other process.
 *
 * Powers of the library's own: none of those granted here reaches further. Worth knowing all the same:
 *  - rand, srand, random and srandom share their state with the whole process (glibc locks it):
 *    a guest can foretell or disturb what the host draws there.
 *  - Characters and numbers are read in the locale of the host process ("C", unless it called
 *    setlocale).
 *
 * Narrower than C, where a careless argument would harm the host:
 *  - A string parameter must end with NUL inside the guest's memory, also where a size comes with it
 *    (strncmp, strncpy); strnlen and the mem functions take any bytes.
 *  - The is... functions index a table: only EOF and the values of an unsigned char are accepted.
 *  - A `long` that a 32-bit guest cannot hold traps (strtol of 5000000000): strtoll does not.
 *
 * errno and its names are the host's numbers: import portcullis.errno, not the guest's own errno.
 *
 * Left out:
 *  - What trusts its caller for a size: strcpy, strcat, strncat, gets, sprintf, gcvt.
 *  - What keeps a pointer or state between calls: strtok, strtok_r, strsep, setbuf, putenv.
 *  - What returns memory of the C library or gives memory back: malloc, free, strdup, strerror (not
 *    safe in threads either; strerrordesc_np is), setlocale, localtime.
 *  - What has powers: system, exec, fork, kill, abort, exit, getenv (secrets of the host), everything
 *    that opens, reads, writes, prints (that bypasses WASI: streams.h), sleeps, or loads code (dlopen, iconv).
 *  - Callbacks (qsort, bsearch), structs (div, gmtime_r, clock_gettime), wide characters: with later
 *    versions of Portcullis, as far as they are safe.
 *  - Functions with constants that the guest's headers number otherwise (inet_pton's AF_INET6).
 *
 * For guests in C: wasi-libc has functions of the same names, and a linker prefers a definition to
 * an import. Include this file in a guest without a C library, or import single functions by
 * prototype under names of your own (see libm.h).
 */
#ifndef PORTCULLIS_LIBC_H
#define PORTCULLIS_LIBC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libc.so.6" module "libc"
#endif
PORTCULLIS_MODULE("libc")

/* Bytes. The results point into the guest's own memory. */
void *memcpy(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, size_t n);
void *mempcpy(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, size_t n);
void *memmove(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, size_t n);
void *_Nullable memccpy(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, int c, size_t n);
void *memset(void *_Out_ __sized_by(n) s, int c, size_t n);
int memcmp(const void *__sized_by(n) a, const void *__sized_by(n) b, size_t n);
void *_Nullable memchr(const void *__sized_by(n) s, int c, size_t n);
void *_Nullable memrchr(const void *__sized_by(n) s, int c, size_t n);
void *_Nullable memmem(const void *__sized_by(size) s, size_t size,
                       const void *__sized_by(wanted_size) wanted, size_t wanted_size);

/* Strings */
size_t strlen(const char *s) __attribute__((pure));
size_t strnlen(const char *__counted_by(n) s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int strcasecmp(const char *a, const char *b);
int strncasecmp(const char *a, const char *b, size_t n);
int strverscmp(const char *a, const char *b);
size_t strspn(const char *s, const char *accept);
size_t strcspn(const char *s, const char *reject);
char *_Nullable strpbrk(const char *s, const char *accept);
char *_Nullable strchr(const char *s, int c);
char *_Nullable strrchr(const char *s, int c);
char *strchrnul(const char *s, int c);
char *_Nullable strstr(const char *s, const char *wanted);
char *_Nullable strcasestr(const char *s, const char *wanted);
char *strncpy(char *_Out_ __counted_by(n) dest, const char *src, size_t n);
char *stpncpy(char *_Out_ __counted_by(n) dest, const char *src, size_t n);

/* Numbers in text. *end points into the guest's own string. */
int atoi(const char *s);
long atol(const char *s);
long long atoll(const char *s);
double atof(const char *s);
long strtol(const char *s, char **_Nullable _Out_ end, int base) __errno;
unsigned long strtoul(const char *s, char **_Nullable _Out_ end, int base) __errno;
long long strtoll(const char *s, char **_Nullable _Out_ end, int base) __errno;
unsigned long long strtoull(const char *s, char **_Nullable _Out_ end, int base) __errno;
intmax_t strtoimax(const char *s, char **_Nullable _Out_ end, int base) __errno;
uintmax_t strtoumax(const char *s, char **_Nullable _Out_ end, int base) __errno;
float strtof(const char *s, char **_Nullable _Out_ end) __errno;
double strtod(const char *s, char **_Nullable _Out_ end) __errno;

/* Text. A guest imports it by a prototype that names the arguments behind the format, as often as it has
 * kinds of calls: "int snprintf(char s[n], size_t n, const char *format, ..., double, int)". Each call's
 * format is checked against them; %n, %p, %ls and positions are refused. C compilers would pass the
 * arguments through memory, so that this is hidden from them: give the import its name with
 * __attribute__((import_module("libc"), import_name("int snprintf(...)"))) on a function without `...`. */
#ifdef __PORTCULLIS__
int snprintf(char *_Out_ __counted_by(n) s, size_t n, const char *format, ...) __format(printf, 3, 4);
#endif

/* Integers */
int abs(int x);
long labs(long x);
long long llabs(long long x);
int ffs(int x);
int ffsl(long x);
int ffsll(long long x);

/* Characters */
int isalnum(int c __range(-1, 255));
int isalpha(int c __range(-1, 255));
int isblank(int c __range(-1, 255));
int iscntrl(int c __range(-1, 255));
int isdigit(int c __range(-1, 255));
int isgraph(int c __range(-1, 255));
int islower(int c __range(-1, 255));
int isprint(int c __range(-1, 255));
int ispunct(int c __range(-1, 255));
int isspace(int c __range(-1, 255));
int isupper(int c __range(-1, 255));
int isxdigit(int c __range(-1, 255));
int tolower(int c __range(-1, 255));
int toupper(int c __range(-1, 255));

/* Random numbers. getentropy gives at most 256 bytes a call. */
int rand(void);
void srand(unsigned int seed);
int rand_r(unsigned int *_Inout_ seed);
long random(void);
void srandom(unsigned int seed);
int getentropy(void *_Out_ __sized_by(n) buffer, size_t n) __errno;

/* The process, and what its numbers mean */
time_t time(time_t *_Nullable _Out_ now);
pid_t getpid(void);
const char *_Nullable strerrordesc_np(int error);
const char *_Nullable strerrorname_np(int error);
const char *_Nullable sigdescr_np(int signal);
const char *_Nullable sigabbrev_np(int signal);

PORTCULLIS_END

#endif /* PORTCULLIS_LIBC_H */
