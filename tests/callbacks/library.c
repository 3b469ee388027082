#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>

struct node;
typedef struct session { int id; int (*hook)(int); struct session *(*source)(int); int (*walk)(const struct node *); } session;
struct point { int x; double y; };
struct big { long a; double b; int c; long d; };
struct small { short a; int b; };

typedef struct group group;
static int calls;
/* What C got of functions whose results are wider here than in the guest. */
static __thread long long wide;
void ask_size(size_t (*f)(int)) { wide = f(1); }
void ask_long(long (*f)(int)) { wide = f(1); }
void ask_unsigned(unsigned long (*f)(int)) { wide = f(1); }
long long was_wide(void) { return wide; }
int count_calls(void) { int n = calls; calls = 0; return n; }
int apply(int (*f)(int), int x) { calls++; return f(x) + f(x + 1); }
int apply_or(int (*f)(int), int x) { if (!f) return -1; int a = f(x), b = f(x); return a * 100 + b; }
long many(long (*f)(int, short, signed char, unsigned char, long, float, double, int, int, double, _Bool)) {
    return f(-1, -2, -3, 250, -5, 1.5f, 2.5, 8, -9, 3.25, 1);
}
float apply_float(float (*f)(float, double), float x) { return f(x, 2 * x); }
double apply_double(double (*f)(double), double x) { return f(x); }
unsigned char apply_byte(unsigned char (*f)(unsigned char), int x) { return f(x); }
long apply_long(long (*f)(long), long long x) { return f(x); }
int with_text(int (*f)(const char *), int which) {
    char text[32];
    strcpy(text, which ? "longer than that" : "hello");
    return which == 2 ? f(NULL) : f(text);
}
int with_bytes(int (*f)(const unsigned char *, size_t), int n) {
    unsigned char *data = malloc(n + 1);
    for (int i = 0; i < n; i++) data[i] = i + 1;
    int r = f(data, n);
    free(data);
    return r;
}
int fill_bytes(void (*f)(unsigned char *, int), int n) {
    unsigned char *data = calloc(n + 1, 1);
    f(data, n);
    int sum = 0;
    for (int i = 0; i < n; i++) sum += data[i];
    free(data);
    return sum;
}
int with_numbers(int (*f)(const int *, double *, long *)) {
    int a = 5; double b = 2.5; long c = -3;
    int r = f(&a, &b, &c);
    return r * 10000 + (int)(b * 100) + (int)c;
}
int with_point(int (*f)(const struct point *)) { struct point p = { 7, 0.5 }; return f(&p); }
int move_point(int (*f)(struct big *)) {
    struct big p = { 1, 2, 3, 4 };
    int r = f(&p);
    return r * 1000 + p.a * 100 + (int)p.b * 10 + p.c + (int)p.d;
}
double by_value(double (*f)(struct point, struct small, struct big)) {
    struct point p = { 1, 2.5 }; struct small s = { 3, 4 }; struct big b = { 5, 6.5, 7, -8 };
    return f(p, s, b);
}
long give_struct(struct big (*f)(int), struct point (*g)(int), struct small (*h)(int)) {
    struct big b = f(1); struct point p = g(2); struct small s = h(3);
    return b.a * 1000000 + (long)b.b * 100000 + b.c * 10000 + b.d * 1000 + p.x * 100 + (long)p.y * 10 + s.a + s.b;
}
int text_from(const char *(*f)(int), int n) {
    const char *a = f(n), *b = f(n + 1);
    if (!a || !b) return -1;
    return (int)strlen(a) * 100 + (int)strlen(b);
}
int bytes_from(const unsigned char *(*f)(int), int n) {
    const unsigned char *a = f(n);
    if (!a) return -1; // what C gets of a callback that trapped
    int sum = 0;
    for (int i = 0; i < n; i++) sum += a[i];
    return sum;
}
long double apply_wide(long double (*f)(long double, __int128), long double x) {
    return f(x, ((__int128)1 << 64) + 5) + 1;
}

static int ids;
session *session_open(void) { session *s = malloc(sizeof *s); s->id = ++ids; s->hook = 0; s->source = 0; s->walk = 0; return s; }
void session_close(session *s) { if (s) { s->id = -1; free(s); } }
int session_id(session *s) { return s->id; }
int with_session(int (*f)(session *), session *s) { return f(s); }
static session *watched;
void session_watch(session *s) { watched = s; }
int with_watched(int (*f)(session *), int times) { int sum = 0; while (times--) sum += f(watched) + watched->id; return sum; }
int with_new_session(int (*f)(session *)) {
    session *s = session_open();
    int r = f(s);
    session_close(s);
    return r;
}
session *pick(session *(*f)(session *), session *s) { return f(s); }
int ask_twice(session *(*f)(int)) {
    session *s = f(0);
    f(1);
    return s ? s->id : -1;
}
void session_source(session *s, session *(*f)(int)) { s->source = f; }
int session_fetch(session *s, int x) {
    session *found = s->source(x);
    return found ? found->id : -1;
}
void session_hook(session *s, int (*f)(int)) { s->hook = f; }
session *session_with(int (*f)(int)) { session *s = session_open(); s->hook = f; return s; }
static int (*last_hook)(int);
int session_fire(session *s, int x) { last_hook = s->hook; return s->hook ? s->hook(x) : -1; }

static int (*kept)(int);
void keep(int (*f)(int)) { kept = f; }
int fire(int x) { return kept ? kept(x) : -1; }
int is_kept(double (*f)(double)) { return (void *)f == (void *)kept; }
static long (*odd)(long, int, short);
void keep_odd(long (*f)(long, int, short)) { odd = f; }
unsigned long long odd_code(void) { return (unsigned long long)odd; }
unsigned long long kept_code(void) { return (unsigned long long)kept; }
int fire_leaf(int x) { return kept ? kept(x) : -1; }
static void *body(void *x) { *(int *)x = kept(*(int *)x); return 0; }
int fire_thread(int x) {
    pthread_t thread;
    if (!kept || pthread_create(&thread, 0, body, &x)) return -2;
    pthread_join(thread, 0);
    return x;
}
static const char *(*kept_text)(int);
static const char *last_text;
void keep_text(const char *(*f)(int)) { kept_text = f; }
int fire_text(int x) { last_text = kept_text(x); return strlen(last_text); }
int outer_text(int x) { return last_text[x]; }

int carry(int (*f)(void *a, int n), int (*g)(void *a), void *app) {
    return f(app, 1) * 10000 + (g ? g(app) : 0);
}
int carry_before(void *arg, int (*f)(void *a)) { return f(arg) * 10 + (arg == 0); }
int carry_planted(int (*f)(void *a), int which) {
    static int secret;
    return f(which ? (void *)&secret : 0);
}
void *carry_back(void *(*f)(void *a), void *arg) { return f(arg); }
int rows(int (*f)(void *a, int n, char **values, char **names), void *arg, int which) {
    char *values[] = {"one", 0, "three"}, *names[] = {"a", "bc", ""};
    if (which == 0) return f(arg, 3, values, names);
    if (which == 1) return f(arg, 2, 0, names);
    return f(arg, 0, 0, 0);
}
int attributes(int (*f)(const char **atts), int n) {
    const char *all[] = {"x", "1", "yy", "22", 0};
    return f(all + (4 - n));
}
int values(int (*f)(int n, session **all), int n) {
    session *all[3] = {0, 0, 0};
    for (int i = 0; i < n; i++) all[i] = i == 2 ? all[0] : session_open();
    int r = f(n, all);
    for (int i = 0; i < n && i < 2; i++) session_close(all[i]);
    return r;
}

struct group { int open; unsigned char memory[16]; };
void *group_memory(group *g, int n) { return n <= 16 ? g->memory : 0; }
int grouped(void (*step)(group *, int), int (*final)(group *), int n) {
    group g = {1, {0}};
    for (int i = 1; i <= n; i++) step(&g, i);
    int r = final(&g);
    return r * 1000 + g.memory[0];
}
group *group_open(void) { return calloc(1, sizeof(group)); }
void group_close(group *g) { free(g); }

int maybe_text(int (*f)(const char *)) { char text[] = "text"; return f ? f(text) : -1; }
int steady(const char *text, const struct point *p, int (*f)(int)) {
    int before = (int)strlen(text) * 1000 + p->x * 10 + (int)p->y;
    f(1);
    int after = (int)strlen(text) * 1000 + p->x * 10 + (int)p->y;
    return before == after ? before : -1;
}
unsigned long long code_of(int (*f)(int)) { return (unsigned long long)f + (f(1) != 1); }

struct rec { const char *name; unsigned long n; const int *values; long total; };
int with_rec(int (*f)(const struct rec *r), int which) {
    char name[] = "record";
    int values[] = {3, 4, 5};
    struct rec r = {name, 3, values, -9};
    if (which == 1) { r.n = 0; r.values = 0; }
    if (which == 2) r.total = 1L << 40;
    return f(which == 3 ? 0 : &r);
}
int recs(int (*f)(int n, const struct rec *all), int n) {
    char name[] = "abc";
    int values[] = {1, 2, 3, 4};
    struct rec all[4];
    for (int i = 0; i < n; i++) all[i] = (struct rec){name + i, i + 1, values, 10 * i};
    return f(n, all);
}
struct cell { long n; _Bool b; const char *label; session *who; };
static session shown_session = {77, 0};
int change(void (*f)(struct cell *c), int n) {
    struct cell c = {n, 1, "label", &shown_session};
    f(&c);
    return c.n * 100 + c.b * 10 + (c.label ? (int)strlen(c.label) : 9) + (c.who ? c.who->id * 100000 : 0);
}
int ask(void (*f)(long *a, struct cell *c)) {
    long a = 0x5555555555555555;
    struct cell c;
    memset(&c, 0x55, sizeof c);
    f(&a, &c);
    return a * 1000 + c.n * 10 + c.b + (c.label != 0) * 100000 + (c.who != 0) * 200000;
}
struct node { int v; struct node *next; };
int list(int (*f)(const struct node *head), int n) {
    struct node *all = calloc(n, sizeof *all);
    for (int i = 0; i < n; i++) { all[i].v = i + 1; all[i].next = i + 1 < n ? all + i + 1 : 0; }
    int r = f(all);
    if (n) all[n - 1].next = all; // a circle
    r += f(all + n / 2) * 1000000;
    free(all);
    return r;
}
void session_walk(session *s, int (*f)(const struct node *)) { s->walk = f; }
int session_walked(session *s, const void *memory) { return s->walk(memory); }
int node_in_guest(int (*f)(const struct node *head), void *memory) { return f(memory); }
int longs(int (*f)(const long *all, const struct kv *kvs), int n) {
    struct kv { const char *key; long v; };
    long all[5] = {0};
    struct kv kvs[4] = {{"a", 1}, {"bc", -20}, {"def", 300}, {0, 9}};
    for (int i = 0; i < n; i++) all[i] = -1 - i;
    return f(all, kvs + (3 - n));
}
int put(int (*f)(unsigned char *data, unsigned long *n), unsigned long n) {
    unsigned char data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int r = f(data, &n), sum = 0;
    for (int i = 0; i < 8; i++) sum += data[i];
    return r * 1000000 + (int)n * 1000 + sum;
}
int made(const struct rec *(*f)(int i), int n) {
    const struct rec *all[8];
    for (int i = 0; i < n; i++) if (!(all[i] = f(i))) return -1;
    int sum = 0;
    for (int i = 0; i < n; i++) {
        sum = sum * 10 + (int)strlen(all[i]->name);
        for (unsigned long j = 0; j < all[i]->n; j++) sum += all[i]->values[j];
        sum += all[i]->total;
    }
    return sum;
}
int words(const char *const *(*f)(const char *word)) {
    const char *const *all = f("go");
    if (!all) return -1;
    int n = 0;
    while (*all) n = n * 10 + (int)strlen(*all++);
    return n;
}
double *own_point(double *(*f)(int i)) { return f(3); }
int picked(int (*(*pick)(int which))(int x), int x) {
    int (*g)(int) = pick(0), (*h)(int) = pick(1);
    return (g ? g(x) : -1) * 100 + (h ? h(x) : -1);
}
static int native_function(int x) { return x; }
int handed(int (*f)(int (*g)(int), int x), int (*g)(int), int x, int which) {
    return f(which == 0 ? g : which == 1 ? 0 : native_function, x);
}
static session children[4] = {{501, 0}, {502, 0}, {503, 0}, {504, 0}};
int lends(int (*f)(session *s, session *child), session *s, int which) { return f(s, &children[which]); }
int session_sum(session *a, session *b) { return a->id * 1000 + b->id; }
int fds(int (*f)(int fd), int value) { return f(value); }
int fd_value(int fd) { return fd; }
int fd_back(int (*f)(int fd), int value) { return f(value); }
int ranged(int (*f)(int n), int n) { return f(n); }
int range_back(int (*f)(int n), int n) { return f(n); }
int boxes(int (*f)(const _Bool *all, int n)) { _Bool all[3] = {1, 0, 1}; return f(all, 3); }
