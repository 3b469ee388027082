// A connection and its queries, a parser, a context that must be started: what callbacks may use meanwhile.
#include <stdlib.h>

typedef struct thing { int state; struct thing *of; } thing;
typedef int callback(int);
static thing *new(thing *of) {
    thing *t = calloc(1, sizeof *t);
    t->of = of;
    return t;
}
thing *conn_open(void) { return new(0); }
void conn_close(thing *c) { free(c); }
int conn_exec(thing *c) { return ++c->state; }
thing *query_new(thing *c) { return new(c); }
void query_free(thing *q) { free(q); }
int query_id(thing *q) { return q->of != 0; }
int query_run(thing *q, callback *f, int what) { return f ? f(what) : q->of->state; }
int query_end(thing *q, thing *c) { free(q); return c->state; }
int query_on(thing *q, thing *c) { return q->of == c; }
int query_join(thing *a, thing *b) { return a->of == b->of; }
thing *parser_new(void) { return new(0); }
void parser_free(thing *p) { free(p); }
int parser_parse(thing *p, callback *f, int what) { return f ? f(what) : 1; }
int parser_line(thing *p) { return 7; }
thing *context_new(void) { return new(0); }
void context_free(thing *c) { free(c); }
int context_start(thing *c, int ok) { return ok; }
int context_use(thing *c) { return 5; }
