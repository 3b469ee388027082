#include <stdlib.h>
#include <stddef.h>
#include <string.h>

typedef int cmp(void *user, int a, int b);
struct ops { cmp *cmp; void *user; int n; };
struct strict { int (*f)(int x); };
struct tree { int n; struct ops ops; const struct ops *more; const struct strict *kids; };

int ops_run(struct ops *ops, int a, int b) {
    ops->n++;
    return ops->cmp ? ops->cmp(ops->user, a, b) : -1;
}
int ops_all(const struct ops *all, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += all[i].cmp ? all[i].cmp(all[i].user, i, i + 1) : 1000;
    return sum;
}
int strict_all(const struct strict *all, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += all[i].f(i);
    return sum;
}
int tree_run(const struct tree *t) {
    int sum = t->ops.cmp(t->ops.user, 1, 2);
    if (t->more) sum += t->more->cmp(t->more->user, 3, 4);
    return sum + strict_all(t->kids, t->n);
}
int ops_swap(struct ops *two) {
    struct ops one = two[0];
    two[0] = two[1];
    two[1] = one;
    return 0;
}
static int own(void *user, int a, int b) { return 0; }
int ops_plant(struct ops *ops, int what) {
    ops->n += 100;
    if (what == 0) ops->cmp = NULL, ops->user = NULL;
    if (what == 1) ops->cmp = own;
    if (what == 2) ops->user = ops;
    if (what == 3) ops->cmp = (cmp *)((char *)ops->cmp + 1);
    return what;
}
int ops_set(struct ops *ops, cmp *f, void *user) {
    ops->cmp = f;
    ops->user = user;
    return 0;
}
/* What a callback does to the guest's struct changes nothing here. */
int ops_twice(struct ops *ops) {
    int first = ops->cmp(ops->user, 1, 1);
    return first * 1000 + ops->cmp(ops->user, 2, 2);
}
int fns_all(int (**fns)(int x), int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum = sum * 10 + fns[i](i + 1);
    return sum;
}
long cookies_turn(void **users, int n) {
    for (int i = 0; i < n / 2; i++) {
        void *one = users[i];
        users[i] = users[n - 1 - i];
        users[n - 1 - i] = one;
    }
    return n;
}
struct with { int (*f)(int x); void *user; };
int with_null(const struct with *w) { return (w->f == NULL) * 2 + (w->user == NULL); }

static _Thread_local cmp *kept;
int ops_keep(const struct ops *all, int n) { kept = n ? all[0].cmp : NULL; return 0; }
int ops_late(void) { return kept(NULL, 1, 2); }

struct hook { int (*f)(int x); };
struct more { struct more *next; int (*f)(int x); };
struct vtable { const char *name; int n; const short *at; int (*f)(int x); void *user; const struct vtable *next; };
struct reg { int (*f[8])(int x); int n; const struct vtable *v; const char *const *names; const long *size; };
struct reg *reg_new(const struct hook *h) {
    struct reg *r = calloc(1, sizeof *r);
    r->f[r->n++] = h->f;
    return r;
}
void reg_more(struct reg *r, const struct more *m) {
    for (; m && r->n < 8; m = m->next) r->f[r->n++] = m->f;
}
int reg_fire(struct reg *r, int x) {
    for (int i = 0; i < r->n; i++) x = r->f[i](x);
    return x;
}
void reg_module(struct reg *r, const struct vtable *v) { r->v = v; }
void reg_names(struct reg *r, const char *const *names, const long *size) { r->names = names; r->size = size; }
long reg_use(struct reg *r, int x) {
    long sum = 0;
    for (const struct vtable *v = r->v; v; v = v->next) {
        sum = sum * 1000 + v->f(x) + (long)strlen(v->name);
        for (int i = 0; i < v->n; i++) sum += v->at[i] * 10;
    }
    for (const char *const *name = r->names; name && *name; name++) sum += 1000000 * strlen(*name);
    return sum + (r->size ? *r->size : 0);
}
void reg_free(struct reg *r) { free(r); }
static _Thread_local struct hook library;
static int triple(int x) { return 3 * x; }
void library_set(const struct hook *l) { library = *l; }
const struct hook *library_get(int own) {
    static _Thread_local struct hook result;
    result = library;
    if (own) result.f = triple;
    return &result;
}
int library_fire(int x) { return library.f(x); }
