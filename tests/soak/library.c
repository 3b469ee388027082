// Objects that count themselves, and keep a hook and a copy of a name.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct thing { int id; const char *name; int (*hook)(int); struct thing *parent, *child; } thing;
struct item { const char *name; long n; const int *values; };

static long alive;
long things_alive(void) { return __atomic_load_n(&alive, __ATOMIC_SEQ_CST); }

thing *thing_new(int id, const char *name) {
    thing *t = calloc(1, sizeof *t);
    t->id = id;
    t->name = name;
    __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    return t;
}
thing *thing_child(thing *t, int id) {
    thing *child = thing_new(id, 0);
    child->parent = t;
    t->child = child;
    return child;
}
// One child at most is alive, and goes with its parent.
void thing_free(thing *t) {
    if (!t) return;
    // Those that guests leave to their store say so, when no call is running.
    if (t->hook && t->id % 2 == 0) t->hook(t->id);
    if (t->child) thing_free(t->child);
    // Reads the copy that it keeps: one that was freed too early is found by tools that look for that.
    if (t->name) t->id += (int)strlen(t->name);
    if (t->parent) t->parent->child = 0;
    __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    free(t);
}
int thing_id(thing *t) { return t->id; }
int thing_name(thing *t) { return t->name ? (int)strlen(t->name) : -1; }
void thing_hook(thing *t, int (*f)(int)) { t->hook = f; }
int thing_fire(thing *t, int x) { return t->hook ? t->hook(x) : -1; }

long total(const struct item *all, int n) {
    long sum = 0;
    for (int i = 0; i < n; i++) {
        sum += (long)strlen(all[i].name);
        for (long j = 0; j < all[i].n; j++) sum += all[i].values[j];
    }
    return sum;
}
int twice(int (*f)(int), int x) { return f(x) + f(x + 1); }

// One a thread, because a store does not tell others what it keeps.
static __thread int (*kept)(int);
void keep(int (*f)(int)) { kept = f; }
int fire(int x) { return kept ? kept(x) : -1; }
int ordered(int a, int b) { return a < b; }
