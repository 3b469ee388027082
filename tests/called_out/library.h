/* One function with as many kinds of steps as there are that trampolines call out for. True of library.c. */
#pragma portcullis library "liball.so" module "all"

typedef struct db db __exclusive __drop(db_close);
typedef struct item item __drop(item_free);
typedef int fd_t __handle __drop(fd_close);
typedef struct gauge {
    uint32_t n;
    const uint8_t *_Nullable __counted_by(n) in;
    struct state *state __private;
    int sum;
} gauge __boxed __drop(gauge_end);

struct pair { long n; item *_Nullable it; };
struct hooks { int (*f)(int x); void *__cookie user; };

long everything(
    db *d,
    const char *text,
    const struct pair *__counted_by(n) pairs,
    int n,
    struct pair *inout,
    const struct hooks *hooks,
    int (*g)(int x),
    int (*kept)(int x) __captured_by(d),
    item *it __captured_by(d),
    const char *name __captured_by(d),
    fd_t fd,
    gauge *meter,
    void *__cookie user,
    item *__consumes gone,
    item **_Out_ made);

db *db_open(int id);
void db_close(db *__consumes d);
int db_fire(db *d, int x);
item *item_new(int id);
void item_free(item *__consumes it);
int item_id(item *it);
fd_t fd_open(int value);
int fd_close(fd_t __consumes fd);
int gauge_init(gauge *_Out_ g);
int gauge_end(gauge *g __consumes);
void set_mode(int mode) __leaf;
