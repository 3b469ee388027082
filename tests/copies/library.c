#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local long freed;
long copies_freed(void) { return freed; }

struct pair { long large; int small; };
struct person { const char *name; long age; struct person *next; };
struct table { int count; const long *at; const char *title; };
struct box { int value; struct person *people; };

const struct pair *pair_static(int64_t value) {
    static struct pair p;
    p.large = value;
    p.small = 7;
    return &p;
}
void people_free(struct person *p) {
    while (p) {
        struct person *next = p->next;
        free((char *)p->name);
        free(p);
        freed++;
        p = next;
    }
}
struct person *people_new(int n) {
    struct person *all = NULL;
    for (int i = n; i > 0; i--) {
        struct person *p = malloc(sizeof *p);
        char name[32];
        snprintf(name, sizeof name, "number %d", i);
        p->name = strdup(name);
        p->age = i * 10;
        p->next = all;
        all = p;
    }
    return all;
}
int people_out(int n, struct person **out) {
    if (n == 0) return -1;
    *out = people_new(n);
    return n;
}
struct box *box_new(int value) {
    struct box *b = calloc(1, sizeof *b);
    b->value = value;
    return b;
}
int box_get(struct box *b) { return b->value; }
void box_free(struct box *b) {
    people_free(b->people);
    b->value = -1;
    freed += 1000;
    free(b);
}
const struct person *box_people(struct box *b, int n) {
    people_free(b->people);
    return b->people = people_new(n);
}
const struct person *ring(int n) {
    static struct person all[16];
    for (int i = 0; i < n; i++) all[i] = (struct person) { "same", i, &all[(i + 1) % n] };
    return all;
}
const struct person *endless(void) {
    static struct person *all;
    enum { N = 1000000 };
    if (!all) {
        all = calloc(N, sizeof *all);
        for (int i = 0; i < N; i++)
            all[i] = (struct person) { "one of them", i, i + 1 < N ? &all[i + 1] : NULL };
    }
    return all;
}
const struct table *table_of(int count) {
    static const long at[] = { 1, -2, 3 };
    static struct table t;
    t = (struct table) { count, at, count == 2 ? NULL : "title" };
    return &t;
}
const char *const *names(void) {
    static const char *all[] = { "one", "two", "", NULL };
    return all;
}
const struct pair *pairs(int n) {
    static struct pair all[4] = { { 1, 2 }, { 3, 4 }, { 5, 6 }, { 7, 8 } };
    return all;
}

struct vec { const unsigned char *base; size_t len; };
struct node { int value; const struct node *next; };
struct option { const char *name; int value; };
struct samples { int n; const double *at; };
struct setting { int level; int lower; };
struct sink { unsigned char *at; int room; int used; };
struct both { const struct node *node; const struct pair *pair; };
struct hidden { int value; void *own; };
struct zone { int a; const char *name; long b; };
struct held { struct box *b; long value; };

long vec_sum(const struct vec *v, int n) {
    long sum = 0;
    for (int i = 0; i < n; i++)
        for (size_t j = 0; j < v[i].len; j++) sum += v[i].base[j];
    return sum;
}
long list_sum(const struct node *list) {
    long sum = 0;
    for (; list; list = list->next) sum += list->value;
    return sum;
}
long arguments(const char **argv) {
    long sum = 0;
    for (int i = 0; argv[i]; i++) sum = sum * 100 + strlen(argv[i]);
    return sum;
}
long options(const struct option *all) {
    long sum = 0;
    for (; all->name; all++) sum = sum * 10 + all->value + strlen(all->name);
    return sum;
}
double sample_sum(const struct samples *s) {
    double sum = 0;
    for (int i = 0; i < s->n; i++) sum += s->at[i];
    return sum;
}
int setting_sum(const struct setting *s) { return s->level + s->lower; }
int setting_make(struct setting *s, int level, int lower) {
    s->level = level;
    s->lower = lower;
    return 0;
}
/* Fills its room with what changes the struct, if it is in there. */
int drain(struct sink *s, int byte) {
    s->used = 0;
    while (s->used < s->room) s->at[s->used++] = byte;
    return s->room;
}
long under_two_types(const struct both *b) {
    return (b->node ? b->node->value : 0) * 1000 + (b->pair ? b->pair->large : 0);
}
int hidden_value(struct hidden *h, int plant) {
    int own = h->own != NULL;
    if (plant) h->own = h;
    if (plant > 1) h->own = &freed;
    h->value++;
    return own;
}
int zone_turn(struct zone *z) {
    int was = z->name != NULL;
    z->name = "planted";
    long b = z->b;
    z->b = z->a;
    z->a = (int)b;
    return was;
}
int boxes_new(struct box **out, int n, int made) {
    for (int i = 0; i < made && i < n; i++) out[i] = box_new(i + 1);
    return made;
}
int boxes_sum(struct box **all, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += all[i]->value;
    return sum;
}
int held_swap(struct held *h, int64_t value) {
    struct box *b = h[0].b;
    h[0].b = h[1].b;
    h[1].b = b;
    h[0].value = value;
    return 1;
}
long long_out(struct pair *p, int64_t value) {
    p->large = value;
    p->small = 1;
    return 1;
}
void nothing_out(struct person *p) {}

struct tail { const char *name; const long *value; };
static long tails(const struct tail *all, const struct tail *same, int n) {
    long sum = all == same ? 100000 : 0;
    for (; all->name; all++) sum += 10000;
    for (int i = 0; i < n; i++) sum += same[i].value ? *same[i].value : 1000;
    return sum;
}
long tails_ended_first(const struct tail *all, const struct tail *same, int n) { return tails(all, same, n); }
long tails_counted_first(const struct tail *same, const struct tail *all, int n) { return tails(all, same, n); }
int pairs_move(struct pair *to, const struct pair *from, int n, int m) {
    for (int i = 0; i < n && i < m; i++) {
        to[i].large = from[i].large + 1;
        to[i].small = from[i].small + 1;
    }
    return to == from;
}
long pairs_sum(const struct pair *a, const struct pair *b, int n, int m) {
    long sum = 0;
    for (int i = 0; i < n; i++) sum += a[i].large * 100;
    for (int i = 0; i < m; i++) sum += b[i].small;
    return sum;
}
struct twig { int n; struct twig *kids; };
static int count(struct twig *t, int w) {
    int sum = 1;
    for (int i = 0; i < t->n; i++) sum += count(&t->kids[i], w);
    if (w && !t->n) t->n = -7;
    return sum;
}
int twigs(struct twig *root) { return count(root, 1); }
struct leaf;
int twigs_read(const struct leaf *root) { return count((struct twig *)root, 0); }
int pairs_fill(struct pair *all, int *n) {
    for (int i = 0; i < *n; i++) all[i] = (struct pair) { -1, -1 };
    return *n = 1000;
}
struct many { size_t n; const struct pair *all; };
struct square { size_t n; size_t m; const struct pair *all; };
struct none { void *own; };
long many_sum(const struct many *m) {
    long sum = 0;
    for (size_t i = 0; i < m->n; i++) sum += m->all[i].small;
    return sum;
}
long square_sum(const struct square *s) {
    return many_sum(&(struct many) { s->n * s->m * s->n * s->m, s->all });
}
int nones(const struct none *all, size_t n) {
    int set = 0;
    for (size_t i = 0; i < n; i++) set += all[i].own != NULL;
    return set;
}
int nones_out(struct none *all, size_t n) {
    for (size_t i = 0; i < n; i++) all[i].own = all;
    return 0;
}
struct hollow { size_t n; void *all; };
int hollows(struct hollow *h) { return h->all != NULL; }
struct flat { int a; int b; };
int flat_steady(const struct flat *f, unsigned char *out, int n) {
    int a = *(volatile int *)&f->a, b = f->b;
    memset(out, 0xff, n);
    return a == *(volatile int *)&f->a && b == *(volatile int *)&f->b;
}
int flat_copy(struct flat *to, const struct flat *from) {
    to->a = from->b;
    to->b = *(volatile int *)&from->a;
    return to == from;
}
int word_steady(const char **cursor, struct flat *f) {
    f->a = f->b = 0x78787878;
    int length = (int)strlen(*cursor);
    *cursor += 1;
    return length;
}
int flat_only(struct flat *f) { return f->a++ + f->b--; }
struct shown { struct box *b[2]; };
void box_show(struct box *b, struct shown *s) {
    static struct box own;
    s->b[0] = b;
    s->b[1] = &own;
}
