/* libc.h: the part of the C library that is safe to lend and needs no struct.
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
 *  - qsort takes 16 MiB at most. When glibc before 2.39 finds no memory for its merge sort (or would need
 *    more than a quarter of the machine's), it falls back to a quicksort, which a comparison that
 *    contradicts itself leads out of the array. With up to 16 MiB only a malloc that fails gets there: do
 *    not grant this to hostile guests in a process whose address space is limited (ulimit -v). The merge
 *    sort and bsearch stay inside the array whatever the comparison says.
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
 *  - Functions that keep a callback or hand out what only the library may change: atexit, on_exit, tsearch,
 *    hsearch; ftw and scandir, which read directories; qsort_r (a comparison has the guest's variables).
 *  - Dates (datetime.h), files (files.h), wide characters.
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
void *memcpy(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, size_t n) __leaf;
void *mempcpy(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, size_t n) __leaf;
void *memmove(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, size_t n) __leaf;
void *_Nullable memccpy(void *_Out_ __sized_by(n) dest, const void *__sized_by(n) src, int c, size_t n) __leaf;
void *memset(void *_Out_ __sized_by(n) s, int c, size_t n) __leaf;
int memcmp(const void *__sized_by(n) a, const void *__sized_by(n) b, size_t n) __leaf;
void *_Nullable memchr(const void *__sized_by(n) s, int c, size_t n) __leaf;
void *_Nullable memrchr(const void *__sized_by(n) s, int c, size_t n) __leaf;
void *_Nullable memmem(const void *__sized_by(size) s, size_t size,
                       const void *__sized_by(wanted_size) wanted, size_t wanted_size) __leaf;

/* Strings */
size_t strlen(const char *s) __attribute__((pure)) __leaf;
size_t strnlen(const char *__counted_by(n) s, size_t n) __leaf;
int strcmp(const char *a, const char *b) __leaf;
int strncmp(const char *a, const char *b, size_t n) __leaf;
int strcasecmp(const char *a, const char *b) __leaf;
int strncasecmp(const char *a, const char *b, size_t n) __leaf;
int strverscmp(const char *a, const char *b) __leaf;
size_t strspn(const char *s, const char *accept) __leaf;
size_t strcspn(const char *s, const char *reject) __leaf;
char *_Nullable strpbrk(const char *s, const char *accept) __leaf;
char *_Nullable strchr(const char *s, int c) __leaf;
char *_Nullable strrchr(const char *s, int c) __leaf;
char *strchrnul(const char *s, int c) __leaf;
char *_Nullable strstr(const char *s, const char *wanted) __leaf;
char *_Nullable strcasestr(const char *s, const char *wanted) __leaf;
char *strncpy(char *_Out_ __counted_by(n) dest, const char *src, size_t n) __leaf;
char *stpncpy(char *_Out_ __counted_by(n) dest, const char *src, size_t n) __leaf;

/* Numbers in text. *end points into the guest's own string. */
int atoi(const char *s) __leaf;
long atol(const char *s) __leaf;
long long atoll(const char *s) __leaf;
double atof(const char *s) __leaf;
long strtol(const char *s, char **_Nullable _Out_ end, int base) __errno __leaf;
unsigned long strtoul(const char *s, char **_Nullable _Out_ end, int base) __errno __leaf;
long long strtoll(const char *s, char **_Nullable _Out_ end, int base) __errno __leaf;
unsigned long long strtoull(const char *s, char **_Nullable _Out_ end, int base) __errno __leaf;
intmax_t strtoimax(const char *s, char **_Nullable _Out_ end, int base) __errno __leaf;
uintmax_t strtoumax(const char *s, char **_Nullable _Out_ end, int base) __errno __leaf;
float strtof(const char *s, char **_Nullable _Out_ end) __errno __leaf;
double strtod(const char *s, char **_Nullable _Out_ end) __errno __leaf;

/* Text. A guest imports it by a prototype that names the arguments behind the format, as often as it has
 * kinds of calls: "int snprintf(char s[n], size_t n, const char *format, ..., double, int)". Each call's
 * format is checked against them; %n, %p, %ls and positions are refused. C compilers would pass the
 * arguments through memory, so that this is hidden from them: give the import its name with
 * __attribute__((import_module("libc"), import_name("int snprintf(...)"))) on a function without `...`. */
#ifdef __PORTCULLIS__
int snprintf(char *_Out_ __counted_by(n) s, size_t n, const char *format, ...) __format(printf, 3, 4) __leaf;
#endif

/* Integers */
int abs(int x) __leaf;
long labs(long x) __leaf;
long long llabs(long long x) __leaf;
#ifdef __PORTCULLIS__ /* C compilers know the structs from stdlib.h */
/* A division that has no result ends a process. */
typedef struct { int quot; int rem; } div_t;
typedef struct { long quot; long rem; } ldiv_t;
typedef struct { long long quot; long long rem; } lldiv_t;
div_t div(int numerator, int denominator)
    __requires(denominator != 0 && (denominator != -1 || numerator >= -0x7fffffff)) __leaf;
ldiv_t ldiv(long numerator, long denominator)
    __requires(denominator != 0 && (denominator != -1 || numerator >= -0x7fffffffffffffff)) __leaf;
lldiv_t lldiv(long long numerator, long long denominator)
    __requires(denominator != 0 && (denominator != -1 || numerator >= -0x7fffffffffffffff)) __leaf;
#endif
int ffs(int x) __leaf;
int ffsl(long x) __leaf;
int ffsll(long long x) __leaf;

/* Characters */
int isalnum(int c __range(-1, 255)) __leaf;
int isalpha(int c __range(-1, 255)) __leaf;
int isblank(int c __range(-1, 255)) __leaf;
int iscntrl(int c __range(-1, 255)) __leaf;
int isdigit(int c __range(-1, 255)) __leaf;
int isgraph(int c __range(-1, 255)) __leaf;
int islower(int c __range(-1, 255)) __leaf;
int isprint(int c __range(-1, 255)) __leaf;
int ispunct(int c __range(-1, 255)) __leaf;
int isspace(int c __range(-1, 255)) __leaf;
int isupper(int c __range(-1, 255)) __leaf;
int isxdigit(int c __range(-1, 255)) __leaf;
int tolower(int c __range(-1, 255)) __leaf;
int toupper(int c __range(-1, 255)) __leaf;

/* Random numbers. getentropy gives at most 256 bytes a call. */
int rand(void) __leaf;
void srand(unsigned int seed) __leaf;
int rand_r(unsigned int *_Inout_ seed) __leaf;
long random(void) __leaf;
void srandom(unsigned int seed) __leaf;
int getentropy(void *_Out_ __sized_by(n) buffer, size_t n) __errno __leaf;

/* The process, and what its numbers mean */
time_t time(time_t *_Nullable _Out_ now) __leaf;
pid_t getpid(void) __leaf;
const char *_Nullable strerrordesc_np(int error) __leaf;
const char *_Nullable strerrorname_np(int error) __leaf;
const char *_Nullable sigdescr_np(int signal) __leaf;
const char *_Nullable sigabbrev_np(int signal) __leaf;

/* Sorting and searching: these two call the guest back. The comparison gets pointers to elements; the key
 * of bsearch is for it alone (C never looks at it, and nobody says how large it is), so that what it gets
 * is what the guest passed. */
void qsort(void *_Inout_ __sized_by(n * size) base, size_t n, size_t size,
           int (*compare)(const void *__sized_by(size) a, const void *__sized_by(size) b))
    __requires(size > 0 && n * size <= 0x1000000);
void *_Nullable bsearch(const void *__cookie key, const void *__sized_by(n * size) base, size_t n,
                        size_t size,
                        int (*compare)(const void *__cookie key, const void *__sized_by(size) element))
    __requires(size > 0);

PORTCULLIS_END

#endif /* PORTCULLIS_LIBC_H */
