/* What the tests of copies grant. Each prototype is true of library.c. */
#pragma portcullis library "libcopies.so" module "copies"

typedef struct box box __drop(box_free);

/* Data that native code returns */
struct pair { long large; int small; };
struct person { const char *name; long age; const struct person *_Nullable next; };
struct table { int count; const long *__counted_by(count) at; const char *_Nullable title; };
const struct pair *__lifetimebound(static) pair_static(int64_t value);
struct person *_Nullable __freed_by(people_free) people_new(int n);
int people_out(int n, struct person *__freed_by(people_free) *_Out_ out);
void people_free(struct person *_Nullable p);
const struct person *__lifetimebound(b) box_people(box *b, int n);
const struct person *__lifetimebound(static) ring(int n);
const struct person *__lifetimebound(static) endless(void);
const struct table *__lifetimebound(static) table_of(int count);
const char *__null_terminated *__null_terminated __lifetimebound(static) names(void);
const struct pair *__counted_by(n) __lifetimebound(static) pairs(int n);

/* Data that the guest passes */
struct vec { const unsigned char *__sized_by(len) base; size_t len; };
struct node { int value; const struct node *_Nullable next; };
struct option { const char *_Nullable name; int value; };
struct samples { int n; const double *__counted_by(n) at; };
struct setting { int level __range(1, 9); int lower __range(0, level); };
struct sink { unsigned char *_Out_ __counted_by(room) at; int room; int used; };
struct both { const struct node *_Nullable node; const struct pair *_Nullable pair; };
struct hidden { int value; void *own; };
struct zone { int a; const char *name __host_only; long b; };
struct held { box *_Nullable b; long value; };
long vec_sum(const struct vec *__counted_by(n) v, int n);
long list_sum(const struct node *list);
long arguments(const char *__null_terminated *_In_ __null_terminated argv);
long options(const struct option *__terminated_by(.name) all);
double sample_sum(const struct samples *s);
int setting_sum(const struct setting *s);
int setting_make(struct setting *_Out_ s, int level, int lower);
int drain(struct sink *s, int byte);
long under_two_types(const struct both *b);
int hidden_value(struct hidden *h, int plant);
int zone_turn(struct zone *z);
box *box_new(int value);
int box_get(box *b);
void box_free(box *__consumes b);
int boxes_new(box **_Out_ __counted_by(n) out, int n, int made);
int boxes_sum(box **_In_ __counted_by(n) all, int n);
int held_swap(struct held *__counted_by(2) h, int64_t value);
long long_out(struct pair *_Out_ p, int64_t value);
void nothing_out(struct person *_Out_ p);

/* One piece of memory, passed twice */
struct tail { const char *_Nullable name; const long *_Nullable value; };
struct twig { int n; struct twig *__counted_by(n) kids; };
struct leaf { int n; const struct leaf *__counted_by(n) kids; };
long tails_ended_first(const struct tail *__terminated_by(.name) all, const struct tail *__counted_by(n) same, int n);
long tails_counted_first(const struct tail *__counted_by(n) same, const struct tail *__terminated_by(.name) all, int n);
int pairs_move(struct pair *__counted_by(n) to, const struct pair *__counted_by(m) from, int n, int m);
long pairs_sum(const struct pair *__counted_by(n) a, const struct pair *__counted_by(m) b, int n, int m);
int twigs(struct twig *root);
int twigs_read(const struct leaf *root);
int pairs_fill(struct pair *_Out_ __counted_by(*n) all, int *_Inout_ n);

/* Counts of any size */
struct many { size_t n; const struct pair *__counted_by(n) all; };
struct square { size_t n; size_t m; const struct pair *__counted_by(n * m * n * m) all; };
struct none { void *own __host_only; };
struct hollow { size_t n; struct empty { int none[0]; } *__counted_by(n) all; };
long many_sum(const struct many *m);
long square_sum(const struct square *s);
int nones(const struct none *__counted_by(n) all, size_t n);
int nones_out(struct none *_Out_ __counted_by(n) all, size_t n);
int hollows(struct hollow *h);

/* What C reads while it writes */
struct flat { int a; int b; };
int flat_steady(const struct flat *f, unsigned char *_Out_ __counted_by(n) out, int n);
int flat_copy(struct flat *_Out_ to, const struct flat *from);
int word_steady(const char **_Inout_ cursor, struct flat *f);
int flat_only(struct flat *f);

/* Handles that nobody owns */
struct shown { box *__borrowed b[2]; };
void box_show(box *b, struct shown *_Out_ s);
