/* Each prototype is true of nested.c. */
#pragma portcullis library "libnested.so" module "nested"

typedef struct conn conn __drop(conn_close) __exclusive;
typedef struct query query __drop(query_free);
typedef struct parser parser __drop(parser_free);
typedef struct context context __drop(context_free);
typedef int (*callback)(int what);

conn *conn_open(void);
void conn_close(conn *c __consumes);
int conn_exec(conn *c);
query *__lifetimebound(c) query_new(conn *c);
void query_free(query *q __consumes);
int query_id(query *q) __leaf;
int query_run(query *q, callback _Nullable f, int what);
int query_end(query *q __consumes, conn *c);
int query_on(query *q, conn *c);
int query_join(query *a, query *b);
parser *parser_new(void);
void parser_free(parser *p __consumes);
int parser_parse(parser *p __invalidates, callback _Nullable f, int what);
int parser_line(parser *p);
context *context_new(void);
void context_free(context *c __consumes);
int context_start(context *c __remember(ready = return), int ok);
int context_use(context *c) __requires(c.ready == 1);
