// Objects that know their own address, and what they keep beside them.
#include <stdint.h>
#include <stdlib.h>

struct state { struct counter *self; };
typedef struct counter {
    const uint8_t *in;
    uint32_t n;
    unsigned long total;
    struct state *state;
    int sum;
} counter;

static int living;
int counters_living(void) { return living; }
static int right(counter *c) { return c->state && c->state->self == c; }
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
int other_init(counter *c) { return counter_init(c); }
int other_end(counter *c) { return counter_end(c); }
int counter_spoiled(counter *c) {
    counter_init(c);
    c->total = 1ul << 40;
    return 0;
}
