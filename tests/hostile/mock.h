/* What the hostile tests grant. Each prototype is true of mock.c. */
#pragma portcullis library "libmock.so" module "mock"

typedef struct box box __drop(box_free);
typedef struct other other __drop(other_free);

/* Buffers */
unsigned int sum(const uint8_t *__counted_by(n) data, uint32_t n);
uint64_t sum64(const uint64_t *__counted_by(n) data, size_t n);
double mean(const double *__counted_by_or_null(n) data, unsigned short n);
void fill(uint8_t *_Out_ __counted_by(n) data, int n);
int strict(const uint8_t *_Nonnull __counted_by(n) data, uint32_t n);
int quotient(const uint8_t *__counted_by(a / b) data, int a, int b);
int remainder_of(const uint8_t *__counted_by(a % b) data, int a, int b);
int product(const uint8_t *__counted_by(a * b) data, int64_t a, int64_t b);
int shifted(const uint8_t *__counted_by(1 << s) data, int s);
int pixels(const uint32_t *__counted_by(width * height) data, uint32_t width, uint32_t height);
unsigned int cell(char *__counted_by(*len) buf, uint32_t *len);

/* Strings */
int length(const char *s);
int optional(const char *_Nullable s);
int wide_length(const uint16_t *__null_terminated s);
int joined(const char *const *__counted_by(n) words, uint32_t n);
struct label { int id; const uint16_t *__null_terminated wide; };
int labelled(const struct label *of);
int repeat(const char *s, char *_Out_ __counted_by(n) to, uint32_t n);

/* Formats */
int print(char *_Out_ __counted_by(n) to, uint32_t n, const char *format, ...)
    __format(printf, 3, 4);

/* Single objects */
int64_t load(const int64_t *at);
int sort(int *a, int *b);

/* Values */
int limited(int level __range(1, 9) __range(-1));
int ordered(int a, int b) __requires(a < b);
int leading(int n, int lda __range(n, n * 2) __range(0));
int behind(const int *limit, int __range(-*limit, *limit) *_Inout_ value);
int share(int a, int b, int c __range(0, a / b));
int sized(const void *__sized_by(n) data, size_t n, uint32_t size __value(n * 2));

/* What fails after the call */
size_t big_size(uint64_t value);
long big_long(int64_t value);
int out_size(size_t *_Out_ size, uint64_t value);
int in_out_long(long *n, int64_t value);
int two_out(uint32_t *_Out_ first, size_t *_Out_ second, uint64_t value);
void *inside(const char *s, int64_t by);
int end_of(const char *s, const char **end, int64_t by);
box *box_and_size(size_t *_Out_ size, uint64_t value);
size_t box_free_size(box *__consumes b, uint64_t value);
const char *__sized_by(n) __lifetimebound(static) negative_extent(int n);

/* Handles */
box *box_new(int value);
int box_open(box **_Out_ to, int value);
box *__lifetimebound(parent) box_child(box *parent, int value);
box *__borrowed box_same(box *b);
int box_get(box *b);
int box_optional(box *_Nullable b);
void box_free(box *__consumes b);
int box_try_free(box *__consumes_if(return == 0) b, int refuse);
int box_swallow(box *__consumes b, box *beside);
int box_swallow_both(box *__consumes a, box *__consumes b);
const char *__lifetimebound(b) box_name(box *b);
const char *_Nullable __lifetimebound(b) box_label(box *_Nullable b);
box *_Nullable __lifetimebound(b) box_next(box *_Nullable b);
int box_first(box *_Nullable b, box *__lifetimebound(b) *_Out_ first);
void box_step(box *__invalidates b);
other *other_new(void);
void other_free(other *__consumes o);
