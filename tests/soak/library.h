#include "portcullis.h"
#pragma portcullis library "@LIBRARY@" module "soak"

typedef struct thing thing __drop(thing_free);
struct item { const char *name; long n; const int *_Nullable __counted_by(n) values; };

thing *thing_new(int id, const char *_Nullable name __captured_by(return));
thing *__lifetimebound(t) thing_child(thing *t, int id);
void thing_free(thing *_Nullable __consumes t);
int thing_id(thing *t);
int thing_name(thing *t);
void thing_hook(thing *t, int (*_Nullable f)(int) __captured_by(t));
int thing_fire(thing *t, int x);
long total(const struct item *__counted_by(n) all, int n);
int twice(int (*f)(int), int x);
void keep(int (*_Nullable f)(int) __escapes);
int fire(int x);
int ordered(int a, int b) __leaf;
