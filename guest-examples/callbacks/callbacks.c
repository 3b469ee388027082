// Lends functions of this program to the C library of the host, and asks it for dates.
//
// wasi-libc defines functions of the same names, and a linker prefers a definition to an import. So each
// import has a name of its own here and says whose it is: the attribute names the module and the function,
// or the prototype where one function has several (snprintf). Compiled for the machine itself the
// functions are just those of <stdlib.h>, <stdio.h> and <time.h>.
#define _DEFAULT_SOURCE // timegm
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __wasm__
#define HOST(module, name, declaration) \
    __attribute__((import_module(module), import_name(name))) declaration;

HOST("libc", "qsort", void host_qsort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *)))
HOST("libc", "bsearch", void *host_bsearch(const void *key, const void *base, size_t n, size_t size,
                                           int (*compare)(const void *, const void *)))
HOST("libc", "strtol", long host_strtol(const char *s, char **end, int base))
HOST("libc", "int snprintf(char s[n], size_t n, const char *format, ..., const char *, double)",
     int host_print_price(char *s, size_t n, const char *format, const char *name, double price))
HOST("libc", "int snprintf(char s[n], size_t n, const char *format, ..., int, int)",
     int host_print_ratio(char *s, size_t n, const char *format, int a, int b))
HOST("datetime", "gmtime", struct tm *host_gmtime(const time_t *seconds))
HOST("datetime", "gmtime_r", struct tm *host_gmtime_r(const time_t *seconds, struct tm *date))
HOST("datetime", "timegm", time_t host_timegm(struct tm *date))
HOST("datetime", "strftime", size_t host_strftime(char *s, size_t max, const char *format, const struct tm *date))
HOST("datetime", "asctime_r", char *host_asctime_r(const struct tm *date, char *s))
HOST("datetime", "clock_gettime", int host_clock_gettime(int clock, struct timespec *now))
enum { HOST_CLOCK_MONOTONIC = 1 }; // the host's number; wasi-libc has a pointer there
#else
#define host_qsort qsort
#define host_bsearch bsearch
#define host_strtol strtol
#define host_print_price snprintf
#define host_print_ratio snprintf
#define host_gmtime gmtime
#define host_gmtime_r gmtime_r
#define host_timegm timegm
#define host_strftime strftime
#define host_asctime_r asctime_r
#define host_clock_gettime clock_gettime
enum { HOST_CLOCK_MONOTONIC = CLOCK_MONOTONIC };
#endif

struct good {
    const char *name;
    double price;
};

static int by_price(const void *a, const void *b)
{
    const struct good *left = a, *right = b;
    return (left->price > right->price) - (left->price < right->price);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct good *)a)->name, ((const struct good *)b)->name);
}

// The key of bsearch is whatever the comparison wants: here a string, not a good.
static int is_named(const void *key, const void *element)
{
    return strcmp(key, ((const struct good *)element)->name);
}

static void sort(void)
{
    struct good goods[] = {
        { "saffron", 7.25 }, { "cloves", 1.5 },    { "pepper", 0.75 }, { "nutmeg", 2.125 },
        { "vanilla", 9.5 },  { "cardamom", 3.25 }, { "mace", 2.0 },
    };
    size_t n = sizeof goods / sizeof *goods;
    char line[40];

    host_qsort(goods, n, sizeof *goods, by_price);
    for (size_t i = 0; i < n; i++) {
        host_print_price(line, sizeof line, "%-10s%6.2f", goods[i].name, goods[i].price);
        printf("%s\n", line);
    }

    host_qsort(goods, n, sizeof *goods, by_name);
    const char *wanted[] = { "mace", "thyme" };
    for (int i = 0; i < 2; i++) {
        // What comes back points into our own array.
        const struct good *found = host_bsearch(wanted[i], goods, n, sizeof *goods, is_named);
        if (found != NULL)
            printf("%s is number %d of %zu by name\n", found->name, (int)(found - goods) + 1, n);
        else
            printf("%s is not sold\n", wanted[i]);
    }
}

static int by_digit(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

// A callback may call the host again, with another callback: this one sorts the digits of both numbers
// and compares what comes out.
static int by_sorted_digits(const void *a, const void *b)
{
    char digits[2][8];
    const int numbers[2] = { *(const int *)a, *(const int *)b };
    for (int i = 0; i < 2; i++) {
        int n = snprintf(digits[i], sizeof digits[i], "%d", numbers[i] % 1000000);
        host_qsort(digits[i], (size_t)n, 1, by_digit);
    }
    return strcmp(digits[0], digits[1]);
}

static void sort_inside_a_sort(void)
{
    int numbers[] = { 31, 12, 51, 40, 22, 90 };
    size_t n = sizeof numbers / sizeof *numbers;
    host_qsort(numbers, n, sizeof *numbers, by_sorted_digits);
    printf("by their sorted digits:");
    for (size_t i = 0; i < n; i++)
        printf(" %d", numbers[i]);
    printf("\n");
}

static void read_numbers(void)
{
    const char *text = "17, -4, 0x1f; and the rest";
    char *end;
    printf("numbers:");
    for (const char *at = text;; at = end + 1) {
        long number = host_strtol(at, &end, 0);
        if (end == at)
            break;
        printf(" %ld", number);
        if (*end != ',')
            break;
    }
    printf(", then \"%s\"\n", end);

    char ratio[4];
    volatile size_t room = sizeof ratio; // volatile: compilers warn of what is meant here
    int wanted = host_print_ratio(ratio, room, "%d/%d", 355, 113);
    printf("snprintf wants %d characters, and %zu hold \"%s\"\n", wanted, room, ratio);
}

static void tell_dates(void)
{
    time_t seconds = 1000000000;
    struct tm date;
    char text[64];
    if (host_gmtime_r(&seconds, &date) != &date)
        printf("gmtime_r returned something else\n");
    host_strftime(text, sizeof text, "%A, %d %B %Y, %H:%M:%S, day %j, week %V", &date);
    printf("%s\n", text);

    // An object of the library's own: we get a copy of it, and the next call another date in it.
    seconds = 951782400;
    struct tm *shared = host_gmtime(&seconds);
    printf("%d-%02d-%02d, day %d of the year\n", shared->tm_year + 1900, shared->tm_mon + 1, shared->tm_mday,
           shared->tm_yday + 1);

    // The 40th of January, which timegm puts right in place.
    struct tm odd = { .tm_year = 124, .tm_mon = 0, .tm_mday = 40, .tm_hour = 25 };
    seconds = host_timegm(&odd);
    printf("%lld: %s", (long long)seconds, host_asctime_r(&odd, text));

    // A year that does not fit in what asctime_r may write.
    odd.tm_year = 2000000;
    printf("the year 2001900: %s\n", host_asctime_r(&odd, text) == NULL ? "no text" : text);

    struct timespec before, after;
    bool told = host_clock_gettime(HOST_CLOCK_MONOTONIC, &before) == 0
        && host_clock_gettime(HOST_CLOCK_MONOTONIC, &after) == 0;
    bool forward = after.tv_sec > before.tv_sec || (after.tv_sec == before.tv_sec && after.tv_nsec >= before.tv_nsec);
    printf("the clock goes forward: %s\n", told && forward ? "yes" : "no");
}

int main(void)
{
    sort();
    sort_inside_a_sort();
    read_numbers();
    tell_dates();
    return EXIT_SUCCESS;
}
