// What keeps, lends and nests as much as it is asked to.
#include <stdlib.h>

typedef struct keeper { const char *text; struct keeper *other; } keeper;
keeper *keeper_new(void) { return calloc(1, sizeof(keeper)); }
void keeper_free(keeper *k) { free(k); }
void keeper_text(keeper *k, const char *text) { k->text = text; }
void keeper_other(keeper *k, keeper *other) { k->other = other; }
const char *constant(unsigned n) { static char all[512]; return all + 2 * (n % 256); }
int applied(int (*f)(int), int x) { return f(x) + f(x + 1); }
