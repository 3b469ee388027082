// What the test of called-out steps calls. Everything that it is given it really touches.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct item { int id; } item;
typedef struct db { int id; int (*kept)(int); const char *name; item *it; } db;
typedef struct gauge { uint32_t n; const uint8_t *in; void *state; int sum; } gauge;
struct pair { long n; item *it; };
struct hooks { int (*f)(int x); void *user; };

static int calls, live, mode;
int take_calls(void) { int now = calls; calls = 0; return now; }
int count_live(void) { return live; }
void set_mode(int to) { mode = to; }

static void *make(size_t size) { live++; return calloc(1, size); }
static void end(void *p) { live--; free(p); }

db *db_open(int id) { db *d = make(sizeof *d); d->id = id; return d; }
void db_close(db *d) { end(d); }
int db_fire(db *d, int x) { return d->kept(x) + (int)strlen(d->name) + d->it->id; }
item *item_new(int id) { item *it = make(sizeof *it); it->id = id; return it; }
void item_free(item *it) { end(it); }
int item_id(item *it) { return it->id; }
int fd_open(int value) { live++; return value; }
int fd_close(int fd) { live--; return fd; }
int gauge_init(gauge *g) { g->state = make(8); return 0; }
int gauge_end(gauge *g) { end(g->state); return 0; }

long everything(db *d, const char *text, const struct pair *pairs, int n, struct pair *inout,
                const struct hooks *hooks, int (*g)(int), int (*kept)(int), item *it, const char *name, int fd,
                gauge *meter, void *user, item *gone, item **made) {
    calls++;
    long sum = d->id + (long)strlen(text) + fd + gone->id + it->id + (long)strlen(name);
    for (int i = 0; i < n; i++) sum += pairs[i].n + (pairs[i].it ? pairs[i].it->id : 0);
    sum += hooks->f(1) + g(2) + kept(3) + (hooks->user == user);
    for (uint32_t i = 0; i < meter->n; i++) meter->sum += meter->in[i];
    inout->n += 1;
    d->kept = kept;
    d->name = name;
    d->it = it;
    item_free(gone);
    *made = item_new(70);
    if (mode == 2) inout->n = 1L << 40;
    if (mode == 3) meter->in = (const uint8_t *)meter;
    return mode == 1 ? 1L << 40 : sum;
}
