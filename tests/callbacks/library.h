#include "portcullis.h"
#pragma portcullis library "@LIBRARY@" module "cb" also "libc.so.6"

typedef struct session session __drop(session_close);
struct point { int x; double y; };
struct big { long a; double b; int c; long d; };
struct small { short a; int b; };

void qsort(void *__sized_by(n * size) base, size_t n, size_t size,
           int (*compar)(const void *__sized_by(size) a, const void *__sized_by(size) b));
void *bsearch(const void *__sized_by(size) key, const void *__sized_by(n * size) base, size_t n, size_t size,
              int (*compar)(const void *__sized_by(size) a, const void *__sized_by(size) b));

int apply(int (*f)(int), int x);
int apply_or(int (*_Nullable f)(int) __on_trap(-7), int x);
void ask_size(size_t (*f)(int) __on_trap(-1));
void ask_long(long (*f)(int) __on_trap(-0x7fffffffffffffff - 1));
void ask_unsigned(unsigned long (*f)(int) __on_trap(0x100000000));
long long was_wide(void);
int count_calls(void);
long many(long (*f)(int, short, signed char, unsigned char, long, float, double, int, int, double, _Bool));
float apply_float(float (*f)(float, double), float x);
double apply_double(double (*f)(double), double x);
unsigned char apply_byte(unsigned char (*f)(unsigned char), int x);
long apply_long(long (*f)(long), long long x);
int with_text(int (*f)(const char *text), int which);
int with_bytes(int (*f)(const unsigned char *__counted_by(n) data, size_t n), int n);
int fill_bytes(void (*f)(unsigned char *__counted_by(n) data, int n), int n);
int with_numbers(int (*f)(const int *a, double *b, long *c));
int with_point(int (*f)(const struct point *p));
int move_point(int (*f)(struct big *p));
double by_value(double (*f)(struct point p, struct small s, struct big b));
long give_struct(struct big (*f)(int), struct point (*g)(int), struct small (*h)(int));
int text_from(const char *(*f)(int), int n);
int bytes_from(const unsigned char *__counted_by(n) (*f)(int n), int n);
long double apply_wide(long double (*f)(long double, __int128), long double x);

session *session_open(void);
void session_close(session *__consumes s);
int session_id(session *s);
int with_session(int (*f)(session *s), session *s);
void session_watch(session *s);
int with_watched(int (*f)(session *s), int times);
int with_new_session(int (*f)(session *s));
session *pick(session *(*f)(session *s), session *s) __borrowed;
int ask_twice(session *(*f)(int turn));
void session_source(session *s, session *(*f)(int x) __captured_by(s));
int session_fetch(session *s, int x);
void session_hook(session *s, int (*f)(int) __captured_by(s));
session *session_with(int (*f)(int) __captured_by(return));
int session_fire(session *s, int x);

void keep(int (*f)(int) __escapes __on_trap(-9));
int fire(int x);
int fire_leaf(int x) __leaf;
int is_kept(double (*f)(double));
unsigned long long kept_code(void);
void keep_odd(long (*f)(long only_here, int, short) __escapes);
unsigned long long odd_code(void);
int fire_thread(int x);
void keep_text(const char *(*f)(int) __escapes);
int fire_text(int x);
int outer_text(int x);

int carry(int (*f)(void *__cookie a, int n), int (*_Nullable g)(void *__cookie a), void *__cookie app);
int carry_before(void *__closure(f) arg, int (*_Nullable f)(void *__cookie a));
int carry_planted(int (*f)(void *__cookie a), int which);
void *__cookie carry_back(void *__cookie (*f)(void *__cookie a), void *__cookie arg);
int rows(int (*f)(void *__cookie a, int n, char *_Nullable __null_terminated *_In_ __counted_by_or_null(n) values,
                  char *__null_terminated *_In_ __counted_by(n) names),
         void *__closure(f) arg, int which);
int attributes(int (*f)(const char **__null_terminated atts), int n);
int values(int (*f)(int n, session **_In_ __counted_by(n) all), int n);
typedef struct group group __drop(group_close);
group *group_open(void);
void group_close(group *_Nullable __consumes g);
void *_Nullable _Inout_ __sized_by(n) __lifetimebound(g) group_memory(group *g, int n __range(0, 16));
int grouped(void (*step)(group *g, int i), int (*final)(group *g), int n);
int maybe_text(int (*_Nullable f)(const char *text));
int steady(const char *text, const struct point *p, int (*f)(int));
unsigned long long code_of(int (*f)(int));

struct rec { const char *name; unsigned long n; const int *_Nullable __counted_by(n) values; long total; };
int with_rec(int (*f)(const struct rec *r), int which);
int recs(int (*f)(int n, const struct rec *__counted_by(n) all), int n);
struct cell { long n; bool b; const char *_Nullable label; session *_Nullable who; };
int change(void (*f)(struct cell *_Inout_ c), int n);
int ask(void (*f)(long *_Out_ a, struct cell *_Out_ c));
struct node { int v; struct node *_Nullable next; };
int list(int (*f)(const struct node *head), int n);
void session_walk(session *s, int (*f)(const struct node *head) __captured_by(s));
int session_walked(session *s, const void *__sized_by(64) memory);
int node_in_guest(int (*f)(const struct node *head), void *__sized_by(64) memory);
struct kv { const char *_Nullable key; long v; };
int longs(int (*f)(const long *__null_terminated all, const struct kv *__terminated_by(.key) kvs), int n);
int put(int (*f)(unsigned char *__counted_by(*n) data, unsigned long *_Inout_ n), unsigned long n);
int made(const struct rec *_Nullable (*f)(int i), int n);
int words(const char *const *_Nullable __null_terminated (*f)(const char *word));
int picked(int (*_Nullable (*pick)(int which))(int x), int x);
int handed(int (*f)(int (*g)(int), int x), int (*g)(int), int x, int which);
int lends(int (*f)(session *s, session *child __lifetimebound(s)), session *s, int which);
int session_sum(session *a, session *b);
typedef int fd_t __handle;
int fds(int (*f)(fd_t fd), int value);
int fd_value(fd_t fd);
int fd_back(fd_t (*f)(fd_t fd), int value);
int ranged(int (*f)(int n __range(0, 9)), int n);
int range_back(int __range(-1, 1) (*f)(int n), int n);
int boxes(int (*f)(const bool *__counted_by(n) all, int n));
