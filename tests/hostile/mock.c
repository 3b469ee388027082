// A library that counts its calls, a thread. Everything it is given, it really touches.
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local long calls, freed;
#define CALLED calls++
long mock_calls(void) { return calls; }
long mock_freed(void) { return freed; }

unsigned sum(const uint8_t *data, uint32_t n) {
    CALLED;
    unsigned sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += data[i];
    return sum;
}
uint64_t sum64(const uint64_t *data, size_t n) {
    CALLED;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += data[i];
    return sum;
}
double mean(const double *data, unsigned short n) {
    CALLED;
    double sum = 0;
    for (int i = 0; data && i < n; i++) sum += data[i];
    return data ? sum / n : -1;
}
void fill(uint8_t *data, int n) { CALLED; memset(data, 0xee, (size_t)n); }
int strict(const uint8_t *data, uint32_t n) { CALLED; return data && n ? data[n - 1] : -1; }
int quotient(const uint8_t *data, int a, int b) { CALLED; return data[a / b - 1]; }
int remainder_of(const uint8_t *data, int a, int b) { CALLED; return a % b ? data[a % b - 1] : 0; }
int product(const uint8_t *data, int64_t a, int64_t b) { CALLED; return a * b ? data[a * b - 1] : 0; }
int shifted(const uint8_t *data, int s) { CALLED; return data[(1ll << s) - 1]; }
int pixels(const uint32_t *data, uint32_t w, uint32_t h) {
    CALLED;
    return w && h ? (int)data[(size_t)w * h - 1] : 0;
}
// Reads its length again after every byte, as careless code does.
unsigned cell(char *buf, uint32_t *len) {
    CALLED;
    unsigned i = 0;
    for (; i < *len; i++) buf[i] = (char)0xff;
    return i;
}

int length(const char *s) { CALLED; return (int)strlen(s); }
int optional(const char *s) { CALLED; return s ? (int)strlen(s) : -1; }
int wide_length(const uint16_t *s) {
    CALLED;
    int n = 0;
    while (s[n]) n++;
    return n;
}
int joined(const char *const *words, uint32_t n) {
    CALLED;
    int sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (int)strlen(words[i]);
    return sum;
}
struct label { int id; const uint16_t *wide; };
int labelled(const struct label *of) {
    CALLED;
    int n = 0;
    while (of->wide[n]) n++;
    return of->id + n;
}
// Overwrites `to` while it reads `s`: never ends when they overlap, unless `s` is a copy.
int repeat(const char *s, char *to, uint32_t n) {
    CALLED;
    size_t i = 0;
    for (; s[i]; i++)
        for (uint32_t k = 0; k < n; k++) to[k] = 'x';
    return (int)i;
}

int64_t load(const int64_t *at) { CALLED; return *at; }
int sort(int *a, int *b) {
    CALLED;
    if (*a <= *b) return 0;
    int t = *a;
    *a = *b;
    *b = t;
    return 1;
}

int limited(int level) { CALLED; return level; }
int ordered(int a, int b) { CALLED; return b - a; }
int leading(int n, int lda) { CALLED; return lda; }
int behind(const int *limit, int *value) { CALLED; return *value; }
int share(int a, int b, int c) { CALLED; return c; }
int sized(const void *data, size_t n, uint32_t size) { CALLED; return (int)size; }

size_t big_size(uint64_t value) { CALLED; return value; }
long big_long(int64_t value) { CALLED; return value; }
int out_size(size_t *size, uint64_t value) { CALLED; *size = value; return 7; }
int in_out_long(long *n, int64_t value) { CALLED; *n += value; return 7; }
int two_out(uint32_t *first, size_t *second, uint64_t value) { CALLED; *first = 1; *second = value; return 7; }
void *inside(const char *s, int64_t by) { CALLED; return (char *)s + by; }
int end_of(const char *s, const char **end, int64_t by) { CALLED; *end = s + by; return 7; }
const char *negative_extent(int n) { CALLED; return "text"; }

/* A box ends its children when it ends. */
typedef struct box { int value; char name[12]; struct box *parent, *children, *next; } box;
box *box_new(int value) {
    CALLED;
    box *b = calloc(1, sizeof *b);
    b->value = value;
    snprintf(b->name, sizeof b->name, "%d", value);
    return b;
}
box *box_and_size(size_t *size, uint64_t value) { *size = value; return box_new(1); }
int box_open(box **to, int value) { *to = box_new(value); return 0; }
box *box_child(box *parent, int value) {
    box *b = box_new(parent->value + value);
    b->parent = parent;
    b->next = parent->children;
    return parent->children = b;
}
box *box_same(box *b) { CALLED; return b; }
int box_get(box *b) { CALLED; return b->value; }
int box_optional(box *b) { CALLED; return b ? b->value : -1; }
static void box_end(box *b) {
    for (box *child = b->children, *next; child; child = next) {
        next = child->next;
        box_end(child);
    }
    b->value = -999;
    free(b);
}
void box_free(box *b) {
    CALLED;
    freed++;
    for (box **at = b->parent ? &b->parent->children : NULL; at && *at; at = &(*at)->next) {
        if (*at == b) {
            *at = b->next;
            break;
        }
    }
    box_end(b);
}
size_t box_free_size(box *b, uint64_t value) { box_free(b); return value; }
int box_try_free(box *b, int refuse) {
    if (refuse) { CALLED; return refuse; }
    box_free(b);
    return 0;
}
int box_swallow(box *b, box *beside) { int v = beside->value; box_free(b); return v; }
int box_swallow_both(box *a, box *b) { box_free(a); box_free(b); calls--; return 0; }
const char *box_name(box *b) { CALLED; return b->name; }
const char *box_label(box *b) { CALLED; return b ? b->name : "none"; }
box *box_next(box *b) { return box_new(b ? b->value + 1 : 0); }
int box_first(box *b, box **first) { *first = box_next(b); return 7; }
void box_step(box *b) { CALLED; b->value++; }
typedef struct other { int value; } other;
other *other_new(void) { CALLED; return calloc(1, sizeof(other)); }
void other_free(other *o) { CALLED; freed++; free(o); }
int print(char *to, uint32_t n, const char *format, ...) {
    CALLED;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(to, n, format, arguments);
    va_end(arguments);
    return length;
}

// Data.
int mock_level = 5;
_Thread_local int mock_own = 6;
const char mock_name[8] = "mock";
const uint32_t mock_table[3] = { 1, 2, 3 };
