#pragma portcullis library "liblimits.so" module "limits"
typedef struct keeper keeper __drop(keeper_free);
keeper *keeper_new(void);
void keeper_free(keeper *__consumes k);
void keeper_text(keeper *k, const char *text __captured_by(k));
void keeper_other(keeper *k, keeper *other __captured_by(k));
const char *__lifetimebound(static) constant(unsigned n);
int applied(int (*f)(int), int x);
