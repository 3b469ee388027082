// Objects that keep others, and use what they keep until the very end: their destructors read it.
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIVE = 0x600d, DEAD = 0xdead };
static _Thread_local char journal[1 << 16];
static _Thread_local size_t used;
const char *keep_journal(void) { return journal; }
void keep_forget(void) { used = 0; journal[0] = 0; }
#define NOTE(...) (used += (size_t)snprintf(journal + used, sizeof journal - used, __VA_ARGS__))

typedef struct node {
    int state, id, owners, count;
    struct node *kept[8], *parent;
    const char *name;
    const uint16_t *data;
    void *cookie;
    struct node *older;
} node;

// Nodes are never freed, so that whoever uses a dead one is found; this list is how they are not lost.
static _Atomic(node *) newest;

node *node_new(int id) {
    node *n = calloc(1, sizeof *n);
    n->state = ALIVE, n->id = id, n->owners = 1;
    n->older = newest;
    while (!atomic_compare_exchange_weak(&newest, &n->older, n)) {}
    return n;
}
node *node_child(node *parent, int id) {
    node *n = node_new(id);
    n->parent = parent;
    return n;
}
node *node_same(node *n) { return n; }
int node_id(node *n) { return n->state == ALIVE ? n->id : -1; }
static void check(const char *what, node *n, node *of) {
    if (n->state != ALIVE) NOTE("%s of %d is gone! ", what, of->id);
}
void node_free(node *n) {
    if (n->state != ALIVE) NOTE("twice! ");
    if (--n->owners) return;
    if (n->parent) check("parent", n->parent, n);
    for (int i = 0; i < 8; i++) if (n->kept[i]) check("kept", n->kept[i], n);
    NOTE("%d", n->id);
    if (n->name) NOTE("(%s)", n->name);
    for (int i = 0; i < n->count; i++) NOTE("[%d]", n->data[i]);
    NOTE(" ");
    n->state = DEAD; // the memory stays, so that a use of it is seen
}
void node_ref(node *n) { n->owners++; }
void node_step(node *n) { (void)n; }
node *node_peek(node *n) { static node one = {ALIVE, 99, 1}; return &one; }
int node_keep(node *captor, node *captured) {
    if (!captor || !captured) return -1;
    for (int i = 0; i < 8; i++) if (!captor->kept[i]) { captor->kept[i] = captured; return i; }
    return -1;
}
node *node_view(node *captured, int id) {
    node *n = node_new(id);
    n->kept[0] = captured;
    return n;
}
int node_for_ever(node *n) { return n->id; }
node *bare_new(int id) { return node_new(id); }
int bare_keep(node *captor, node *captured, const char *name) {
    captor->name = name;
    return node_keep(captor, captured);
}

int node_name(node *n, const char *name) {
    if (!n) return 0;
    n->name = name;
    return name ? (int)strlen(name) : -1;
}
int node_name_is(node *n, const char *name) { return n->name && !strcmp(n->name, name); }
int node_data(node *n, const uint16_t *at, int count) {
    n->data = at, n->count = count;
    return (int)((uintptr_t)at % 16);
}
int64_t node_sum(node *n) {
    int64_t sum = 0;
    for (int i = 0; i < n->count; i++) sum += n->data[i];
    return sum;
}
node *node_named(int id, const char *name, size_t *big, uint64_t size) {
    *big = size;
    if (id < 0) return NULL;
    node *n = node_new(id);
    n->name = name;
    return n;
}
static const char *names[64];
static int name_count;
int library_name(const char *name) {
    for (int i = 0; i < name_count; i++) if (names[i] == name) return i;
    return name_count < 64 ? (names[name_count] = name, name_count++) : -1;
}
int library_name_is(const char *name) { return name_count && !strcmp(names[name_count - 1], name); }
int library_names(void) { return name_count; }

const char *node_label(node *n) { return n->name ? n->name : "label"; }
const char *node_text(node *n) { return n->name ? n->name : "text"; }
int node_two(node *a, node *b) { return a->id + b->id; }

void *cookie_swap(node *n, void *cookie) {
    void *old = n->cookie;
    n->cookie = cookie;
    return old;
}
int cookie_get(node *n, void **out) {
    if (out) *out = n->cookie;
    return n->cookie != NULL;
}
void cookie_plant(node *n, int64_t address) { n->cookie = address == -1 ? (void *)n : (void *)address; }

int res_open(int value) { return value; }
int res_value(int r) { return r; }
int res_close(int r) { NOTE("close %d ", r); return 0; }
int res_try_close(int r, int fail) { if (!fail) NOTE("close %d ", r); return fail; }
int res_out(int value, int *out) { if (out && value != -100) *out = value; return 7; }
int res_std(int which) { return which; }
int other_open(int value) { return value; }
int other_value(int r) { return r; }
int res_fail(int value, int *out, size_t *big, uint64_t size) { *out = value; *big = size; return 0; }

typedef struct grid { int w, h; } grid;
grid *grid_new(int w, int h) { grid *g = malloc(sizeof *g); g->w = w, g->h = h; return g; }
grid *grid_blank(void) { return grid_new(1, 1); }
int grid_open(int w, grid **out) { *out = w < 0 ? NULL : grid_new(w, 1); return w; }
int grid_resize(grid *g, int w) { g->w = w; return w; }
int grid_row(grid *g, uint8_t *row) { memset(row, 0x5a, (size_t)g->w); return g->w; }
int grid_cell(grid *g, int at) { return at < g->w * g->h ? at : -1; }
void grid_free(grid *g) { NOTE("grid "); free(g); }

unsigned socket_open(unsigned value) { return value; }
unsigned socket_value(unsigned s) { return s ^ 0x80000000u; }
int socket_pair(unsigned *one, unsigned *other) {
    *one = 0xfffffffe;
    return other != 0;
}
void socket_close(unsigned s) { NOTE("close %u ", s); }
