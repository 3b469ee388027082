/* What the tests of functions in data grant. Each prototype is true of functions.c. */
#pragma portcullis library "libfunctions.so" module "functions"

typedef struct reg reg __drop(reg_free);

struct ops { int (*_Nullable cmp)(void *__cookie user, int a, int b) __on_trap(-99); void *__cookie user; int n; };
struct strict { int (*f)(int x); };
struct tree { int n; struct ops ops; const struct ops *_Nullable more; const struct strict *__counted_by(n) kids; };
int ops_run(struct ops *ops, int a, int b);
int ops_all(const struct ops *__counted_by(n) all, int n);
int strict_all(const struct strict *__counted_by(n) all, int n);
int tree_run(const struct tree *t);
int ops_swap(struct ops *__counted_by(2) two);
int ops_plant(struct ops *ops, int what);
int ops_set(struct ops *_Out_ ops, int (*f)(void *__cookie user, int a, int b), void *__cookie user);
int ops_twice(struct ops *ops);
int fns_all(int (**_In_ __counted_by(n) fns)(int x), int n);
long cookies_turn(void *__cookie *_Inout_ __counted_by(n) users, int n);

struct with { int (*_Nullable f)(int x); void *__closure(f) user; };
int with_null(const struct with *w);

int ops_keep(const struct ops *__counted_by(n) all, int n);
int ops_late(void);

struct hook { int (*f)(int x) __captured_by(return); };
struct more { struct more *_Nullable next; int (*f)(int x) __captured_by(r); };
struct library { int (*f)(int x) __escapes; };
reg *reg_new(const struct hook *h);
void reg_more(reg *r, const struct more *m);
int reg_fire(reg *r, int x);
void reg_free(reg *__consumes r);
struct vtable {
    const char *name; int n; const short *__counted_by(n) at; int (*f)(int x) __captured_by(r); void *__cookie user;
    const struct vtable *_Nullable next;
};
void reg_module(reg *r, const struct vtable *v __captured_by(r));
long reg_use(reg *r, int x);
void reg_names(reg *r, const char *const *__null_terminated names __captured_by(r), const long *size __captured_by(r));
void library_set(const struct library *l);
const struct library *__lifetimebound(static) library_get(int own);
int library_fire(int x);
