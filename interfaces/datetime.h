/* datetime.h: dates and clocks of the C library.
 *
 * Grants: reading the host's clocks, and computation with dates on the guest's own memory.
 *
 * Powers of the library's own: the local time zone of the host is told (TZ, /etc/localtime), and the
 * CPU time of its process and of the calling thread. Names of days and months are those of the
 * host's locale ("C", unless it called setlocale).
 *
 * Narrower than C, where a careless argument would harm the host:
 *  - Clocks have a number of the host: the negative ones are other processes and open devices.
 *  - asctime_r and ctime_r write 26 bytes, and NULL comes back when a year would need more.
 *
 * gmtime and localtime write an object that the whole process shares. The guest gets a copy of its own,
 * rewritten by its next call; when another thread of the host calls the same function at that moment, the
 * date may be that thread's. The functions with _r have no such doubt.
 *
 * The guest's struct tm has nothing behind tm_gmtoff that is looked at. The name of the zone (tm_zone) is a
 * string of the host: it goes neither way, and %Z of strftime is the host's own zone.
 *
 * Left out:
 *  - What waits: nanosleep, clock_nanosleep, timers. Fuel and epochs do not interrupt native code.
 *  - What sets: clock_settime, settimeofday, stime, tzset (mktime and localtime do it).
 *  - asctime, ctime: their text is shared by the process and may change while it is copied.
 *  - strptime: it leaves as they are the fields that it did not read, and then computes with them. getdate
 *    reads a file that the environment names.
 *
 * For guests in C: wasi-libc has functions of the same names (see libc.h), and a clockid_t that is a
 * pointer; what takes one, or a struct timespec, is hidden from compilers. Import single functions by
 * prototype: __attribute__((import_module("datetime"), import_name("strftime"))).
 */
#ifndef PORTCULLIS_DATETIME_H
#define PORTCULLIS_DATETIME_H

#include <stddef.h>
#include <time.h>
#include "portcullis.h"

#ifdef __PORTCULLIS__
#pragma portcullis library "libc.so.6" module "datetime"
#endif
PORTCULLIS_MODULE("datetime")

/* Compilers have these from <time.h>; __host_only is what guests lack or have otherwise. */
#ifdef __PORTCULLIS__
struct tm {
    int tm_sec;
    int tm_min;
    int tm_hour;
    int tm_mday;
    int tm_mon;
    int tm_year;
    int tm_wday;
    int tm_yday;
    int tm_isdst;
    long tm_gmtoff;
    const char *tm_zone __host_only;
};

struct timespec {
    time_t tv_sec;
    long tv_nsec;
};

/* Clocks, by the numbers of Linux */
int clock_gettime(int clock __range(0, 7) __range(11), struct timespec *_Out_ now) __errno;
int clock_getres(int clock __range(0, 7) __range(11), struct timespec *_Nullable _Out_ step) __errno;
int timespec_get(struct timespec *_Out_ now, int base __range(1));
#endif

/* From seconds to dates and back. NULL and -1: the year does not fit. */
struct tm *_Nullable gmtime_r(const time_t *seconds, struct tm *_Out_ date) __errno;
struct tm *_Nullable localtime_r(const time_t *seconds, struct tm *_Out_ date) __errno;
struct tm *_Nullable __lifetimebound(static) gmtime(const time_t *seconds) __errno;
struct tm *_Nullable __lifetimebound(static) localtime(const time_t *seconds) __errno;
time_t mktime(struct tm *_Inout_ date) __errno;
time_t timegm(struct tm *_Inout_ date) __errno;
double difftime(time_t end, time_t start);

/* Text. strftime gives 0 and something unfinished when the text does not fit. */
size_t strftime(char *_Out_ __counted_by(max) s, size_t max, const char *format, const struct tm *date);
char *_Nullable asctime_r(const struct tm *date, char *_Out_ __counted_by(26) s) __errno;
char *_Nullable ctime_r(const time_t *seconds, char *_Out_ __counted_by(26) s) __errno;

PORTCULLIS_END

#endif /* PORTCULLIS_DATETIME_H */
