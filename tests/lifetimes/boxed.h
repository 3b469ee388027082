/* Each prototype is true of boxed.c. */
#pragma portcullis library "libboxed.so" module "boxed"

typedef struct counter {
    const uint8_t *_Nullable __counted_by(n) in;
    uint32_t n;
    unsigned long total;
    struct state *state __private;
    int sum;
    int seen _Out_;
    int given _In_;
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

int counter_show(counter *c);
int counter_free(counter *c __consumes_if(return == 0), int how);
int counter_copy(counter *_Out_ to, counter *from);
int counter_alone(counter *__exclusive a, counter *b);
int counter_level(counter *_Out_ __remember(level = level) c, int level);
int counter_read(counter *c, uint8_t *_Out_ __counted_by(c.level) out)
    __requires(c->seen >= 0);

/* All of it is the library's own. */
typedef struct hash {
    uint16_t a __private;
    uint64_t sum __private;
    uint8_t rest[9] __private;
} hash __boxed __drop(hash_end);
int hash_init(hash *_Out_ h, int start);
int hash_add(hash *r, const hash *a, const hash *b);
int hash_end(hash *h __consumes);
__attribute__((pure)) int hash_digits(const hash *h, int base __range(2, 10));
char *hash_text(char *_Out_ __counted_by(hash_digits(h, base) + 1) out, int base __range(2, 10),
                const hash *h);
int hash_times(hash *h, int n) __requires(h->sum * n < 1000000);

/* A handle that is taken from a cell of the guest's. */
typedef struct ctx ctx __drop(ctx_free);
int ctx_open(ctx **_Out_ p);
void ctx_free(ctx *__consumes p);
int ctx_number(ctx *p);
int ctx_close(ctx *_Nullable *__consumes p, int how);
int ctx_try(ctx **_Inout_ __consumes_if(return == 0) p, int how);
int ctx_beside(ctx **__consumes p, ctx *other);
