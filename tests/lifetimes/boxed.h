/* Each prototype is true of boxed.c. */
#pragma portcullis library "libboxed.so" module "boxed"

typedef struct counter {
    const uint8_t *_Nullable __counted_by(n) in;
    uint32_t n;
    unsigned long total;
    struct state *state __private;
    int sum;
} counter __boxed __drop(counter_end);
typedef struct other {
    const uint8_t *_Nullable __counted_by(n) in;
    uint32_t n;
    unsigned long total;
    struct state *state __private;
    int sum;
} other __boxed __drop(other_end);

int counters_living(void);
int counter_init(counter *_Out_ c);
int counter_spoiled(counter *_Out_ c);
int counter_add(counter *c);
int counter_big(counter *c);
int counter_small(counter *c);
int counter_wild(counter *c);
int counter_both(counter *a, counter *b);
int counter_end(counter *c __consumes);
int other_init(other *_Out_ c);
int other_end(other *c __consumes);
