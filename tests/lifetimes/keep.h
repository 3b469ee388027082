/* What the tests of lifetimes grant. Each prototype is true of keep.c. */
#pragma portcullis library "libkeep.so" module "keep"

typedef struct node node __drop(node_free);
typedef struct bare bare;
typedef struct grid grid __drop(grid_free);
typedef int res_t __handle __drop(res_close);
typedef int other_t __handle;

/* Objects and who keeps them */
node *node_new(int id);
node *__lifetimebound(parent) node_child(node *parent, int id);
node *__borrowed node_same(node *n);
int node_id(node *n);
void node_free(node *n __consumes);
void node_ref(node *n __retains);
void node_step(node *n __invalidates);
node *__borrowed __lifetimebound(n) node_peek(node *n);
int node_keep(node *_Nullable captor, node *_Nullable captured __captured_by(captor));
node *node_view(node *captured __captured_by(return), int id);
int node_for_ever(node *n __escapes);
bare *bare_new(int id);
int bare_keep(bare *captor, node *captured __captured_by(captor), const char *name __captured_by(captor));

/* Data that is kept */
int node_name(node *_Nullable n, const char *_Nullable name __captured_by(n));
int node_name_is(node *n, const char *name);
int node_data(node *n, const uint16_t *__counted_by(count) at __captured_by(n), int count);
int64_t node_sum(node *n);
node *_Nullable node_named(int id, const char *name __captured_by(return), size_t *_Out_ big, uint64_t size);
int library_name(const char *name __escapes);
int library_name_is(const char *name);
int library_names(void);

/* One call at a time */
const char *__lifetimebound(n) node_label(node *n __exclusive);
const char *__lifetimebound(n) node_text(node *n);
int node_two(node *a __exclusive, node *b);

/* Integers that C carries */
void *__cookie cookie_swap(node *n, void *__cookie cookie);
int cookie_get(node *n, void *__cookie *_Nullable _Out_ out);
void cookie_plant(node *n, int64_t address);

/* Descriptors */
res_t res_open(int value);
int res_value(res_t r);
int res_close(res_t r __consumes);
int res_try_close(res_t r __consumes_if(return == 0), int fail);
int res_out(int value, res_t *_Nullable _Out_ out);
res_t __borrowed res_std(int which);
other_t other_open(int value);
int other_value(other_t r);
int res_fail(int value, res_t *_Out_ out, size_t *_Out_ big, uint64_t size);

/* Integers that handles remember */
grid *__remember(width = w) __remember(cells = w * h) grid_new(int w, int h);
grid *grid_blank(void);
int grid_open(int w, grid *__remember(width = w) *_Out_ out);
int grid_resize(grid *g __remember(width = w), int w);
int grid_row(grid *_Nullable g, uint8_t *_Out_ __counted_by(g.width) row);
int grid_cell(grid *g, int at __range(0, g.cells - 1));
void grid_free(grid *g __consumes);

/* Descriptors that are unsigned: all bits set is none. */
typedef unsigned socket_t __handle __drop(socket_close);
socket_t socket_open(unsigned value);
unsigned socket_value(socket_t s);
int socket_pair(socket_t *_Out_ one, socket_t *_Out_ other);
void socket_close(socket_t s __consumes);
