#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>

typedef struct session { int id; int (*hook)(int); } session;
struct point { int x; double y; };
struct big { long a; double b; int c; long d; };
struct small { short a; int b; };

typedef struct group group;
static int calls;
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
session *session_open(void) { session *s = malloc(sizeof *s); s->id = ++ids; s->hook = 0; return s; }
void session_close(session *s) { if (s) { s->id = -1; free(s); } }
int session_id(session *s) { return s->id; }
int with_session(int (*f)(session *), session *s) { return f(s); }
int with_new_session(int (*f)(session *)) {
    session *s = session_open();
    int r = f(s);
    session_close(s);
    return r;
}
session *pick(session *(*f)(session *), session *s) { return f(s); }
void session_hook(session *s, int (*f)(int)) { s->hook = f; }
session *session_with(int (*f)(int)) { session *s = session_open(); s->hook = f; return s; }
static int (*last_hook)(int);
int session_fire(session *s, int x) { last_hook = s->hook; return s->hook ? s->hook(x) : -1; }

static int (*kept)(int);
void keep(int (*f)(int)) { kept = f; }
int fire(int x) { return kept ? kept(x) : -1; }
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
