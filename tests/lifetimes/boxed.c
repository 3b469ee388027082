// Objects that know their own address, and what they keep beside them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state { struct counter *self; };
typedef struct counter {
    const uint8_t *in;
    uint32_t n;
    unsigned long total;
    struct state *state;
    int sum, seen, given;
} counter;

static int living;
int counters_living(void) { return living; }
static int right(counter *c) { return c->state && c->state->self == c; }
static int counter_init_at(counter *c) {
    int seen = c->seen;
    memset(c, 0, sizeof *c);
    c->state = malloc(sizeof *c->state);
    c->state->self = c, c->seen = seen, living++;
    return 0;
}
int counter_init(counter *c) {
    if (c->in || c->n || c->total || c->state || c->sum) return -1;
    c->state = malloc(sizeof *c->state);
    c->state->self = c, c->total = 7, living++;
    return 0;
}
int counter_add(counter *c) {
    if (!right(c)) return -1;
    for (; c->n; c->n--, c->total++) c->sum += *c->in++;
    return c->sum;
}
int counter_big(counter *c) {
    c->sum = 99, c->total = 1ul << 40;
    return right(c);
}
int counter_small(counter *c) {
    c->total = 5;
    return c->sum;
}
int counter_wild(counter *c) {
    c->in = (const uint8_t *)8;
    return 0;
}
int counter_both(counter *a, counter *b) { return right(a) && right(b) && a != b; }
int counter_end(counter *c) {
    if (!right(c) || c->in) return -1;
    free(c->state), living--;
    return 0;
}
int counter_show(counter *c) {
    c->seen = c->given + 1000;
    c->given = -5;
    return right(c) ? c->seen : -1;
}
int counter_free(counter *c, int how) {
    if (how == 0) counter_end(c);
    return how;
}
int counter_copy(counter *to, counter *from) {
    if (to->in || !right(from)) return -1;
    *to = *from;
    to->state = malloc(sizeof *to->state);
    to->state->self = to, living++;
    return 0;
}
int counter_alone(counter *a, counter *b) { return right(a) && right(b); }
int counter_level(counter *c, int level) {
    c->seen = -level;
    return counter_init_at(c);
}
int counter_read(counter *c, uint8_t *out) {
    (void)out;
    return right(c);
}
int other_init(counter *c) { return counter_init(c); }
int other_end(counter *c) { return counter_end(c); }
int counter_spoiled(counter *c) {
    counter_init(c);
    c->total = 1ul << 40;
    return 0;
}

typedef struct hash {
    uint16_t a;
    uint64_t sum;
    uint8_t rest[9];
} hash;
int hash_init(hash *h, int start) {
    h->a = 1, h->sum = start, living++;
    return 0;
}
int hash_add(hash *r, const hash *a, const hash *b) {
    r->sum = a->sum + b->sum;
    return r->a + a->a + b->a;
}
int hash_end(hash *h) { return h->a = 0, --living; }
int hash_digits(const hash *h, int base) {
    int n = 1;
    for (uint64_t sum = h->sum; sum >= (uint64_t)base; sum /= base) n++;
    return n;
}
char *hash_text(char *out, int base, const hash *h) {
    uint64_t sum = h->sum;
    int n = hash_digits(h, base);
    out[n] = 0;
    for (; n > 0; sum /= base) out[--n] = '0' + sum % base;
    return out;
}
int hash_times(hash *h, int n) { return h->sum *= n; }

typedef struct ctx { int number; } ctx;
int ctx_open(ctx **p) {
    *p = malloc(sizeof **p);
    (*p)->number = 42, living++;
    return 0;
}
void ctx_free(ctx *p) { free(p), living--; }
int ctx_number(ctx *p) { return p->number; }
int ctx_close(ctx **p, int how) {
    if (*p == NULL) return -1;
    ctx_free(*p);
    if (how == 0) *p = NULL;
    if (how == 2) *p = (ctx *)p;
    return 1;
}
int ctx_try(ctx **p, int how) {
    if (how == 0) ctx_free(*p), *p = NULL;
    return how;
}
int ctx_beside(ctx **p, ctx *other) {
    ctx_free(*p);
    *p = NULL;
    return other->number;
}
