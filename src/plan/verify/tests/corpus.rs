//! Prototypes whose plans have every op, every fate and every owner in them.
use crate::plan::abi::Abi;
use crate::plan::compile::{Target, compile};
use crate::plan::handles::HandleType;
use crate::plan::layout::DataModel;
use crate::plan::{HandleTypes, Plan};
use crate::signature::{Interface, Prototype, Record, Scope, parse_interface, parse_prototype};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The prototypes. The interfaces' own are verified whenever one is compiled; these are for taking
/// apart.
pub(crate) const PROTOTYPES: &[&str] = &[
    "int atoi(const char *s)",
    "double cos(double x)",
    "float ldexpf(float x, int exponent)",
    "void tick(void)",
    "bool all(bool a, char b, signed char c, unsigned char d, short e, unsigned short f, int g, \
     unsigned h, long i, unsigned long j, long long k, float l, double m)",
    "long wide(long a, unsigned long b)",
    "unsigned long checked(unsigned long n) __errno",
    "void fill(uint8_t *_Out_ __counted_by(n) s, int c, size_t n)",
    "unsigned long crc32(unsigned long crc, const uint8_t *__counted_by(len) buf, unsigned len)",
    "int compress(uint8_t *_Out_ __counted_by(*destLen) dest, unsigned long *_Inout_ destLen, \
     const uint8_t *__counted_by(sourceLen) source, unsigned long sourceLen)",
    "long strtol(const char *s, char **_Nullable _Out_ end, int base) __errno",
    "int pick(int mode __range(0, 3) __range(7), int __range(-1, 1) *_Inout_ out)",
    "int between(int low, int high, int value __range(low, high) __range(0))",
    "int folded(int size __range(sizeof(int), 2 * sizeof(long)) __range(1 << 6), \
     int __range(-sizeof(short), n < 0 ? 0 : n) *_Inout_ at, int n)",
    "int both(int n, int m) __requires(n >= 0 && m >= 0 || n == m) __requires(n != 5)",
    "int whole(unsigned size __value(sizeof(long)), long other __value(-4))",
    "int scan(const char *text, char *_Out_ __counted_by(room) out, size_t room, \
     double *_Nullable sum, const char *_Nullable name)",
    "int items(int n, const uint32_t *__counted_by(n > 0 ? min(n * 4, 100) : abs(n)) at, \
     const uint16_t *__counted_by_or_null(max(n, 2, 3)) more, void *__sized_by(8) fixed)",
    "int open_db(const char *name, struct db **_Out_ db)",
    "int close_db(struct db *_Nullable db __consumes_if(return == 0))",
    "int swap_db(struct db *a, struct db *b __consumes, struct db *c __invalidates)",
    "int step(struct stmt *stmt __invalidates)",
    "struct stmt *__borrowed __lifetimebound(db) _Nullable first(struct db *db, int index)",
    "const char *version(void)",
    "const unsigned *__counted_by(256) __lifetimebound(static) table(void)",
    "const char *_Nullable __lifetimebound(stmt) column_text(struct stmt *stmt, int i)",
    "const char *__lifetimebound(stmt) maybe_text(struct stmt *_Nullable stmt)",
    "int maybe_first(struct db *_Nullable db, struct stmt *__lifetimebound(db) *_Out_ first)",
    "const void *_Nullable __sized_by(column_bytes(stmt, i)) __lifetimebound(stmt) \
     column_blob(struct stmt *stmt, int i)",
    "int exec(struct db *db, const char *sql, \
     char *__null_terminated __freed_by(db_free) *_Nullable _Out_ errmsg)",
    "char *__null_terminated __freed_by(db_free) message(struct db *db, uint64_t *_Out_ code)",
    "long spread(int a, int b, int c, int d, int e, int f, const char *text, double g, double h, \
     double i, double j, double k, double l, double m, double n, double o, \
     uint8_t *__counted_by(length) at, long length)",
    "struct point { double x, y; } add(struct point { double x, y; } a, struct point b)",
    "struct { char c; short s; float f; int i : 5; unsigned u : 11; } mixed(int n, \
     struct { long l; bool b; } pair, struct { float x, y, z; } v, struct { int one; } single)",
    "struct large { long a[3]; char c; size_t n; union { int i; float f; } u; } turn(\
     struct large { long a[3]; char c; size_t n; union { int i; float f; } u; } x, \
     struct { struct { double d[1]; } in; } single, const char *name)",
    "__int128 wider(long double l, unsigned __int128 u, long long k)",
    "long double narrower(_Complex float a, _Complex double b, _Complex long double c)",
    "_Complex long double rotate(struct { long double l; } l)",
    "struct __attribute__((packed)) { char c; long long k; } packed(\
     struct { _Alignas(32) int i; } aligned, \
     struct __attribute__((packed)) { short s; double d; } p)",
    "struct wide { _Alignas(16) int i; } padded(int a, struct wide { _Alignas(16) int i; } w, struct wide v, \
     struct { _Alignas(16) double d; } e)",
    "float __attribute__((vector_size(16))) lanes(int __attribute__((vector_size(16))) a, double d)",
    "int format(char *_Out_ __counted_by(n) s, size_t n, const char *fmt, ..., double, int, \
     long double, const char *, unsigned long, long long) __format(printf, 3, 4)",
    "int print(const char *fmt, ..., unsigned) __format(printf, 1, 2)",
    "long total(const struct { void *__sized_by(n) at; size_t n; } *__counted_by(count) all, int count)",
    "int main_like(int argc, char *__null_terminated *_In_ __null_terminated argv)",
    "int walk(struct node { long value __range(0, top); long top; struct node *_Nullable next; } *_Inout_ list)",
    "int options(const struct { const char *_Nullable name; int kind; struct db *_Nullable db; } \
     *__terminated_by(.name) all, struct db *db)",
    "int several(long *_Out_ __counted_by(p->n) into, struct { unsigned n; bool on; struct { long double l; \
     char text[3]; } in[2]; } *p)",
    "int flags(bool *_Inout_ __counted_by(n) all, int n, const long *__null_terminated more)",
    "struct tm2 { int sec; long off; const char *_Nullable zone; } *__lifetimebound(static) now(\
     const struct pair { int a, b; } *one, const struct pair *two)",
    "int made(struct db **_Out_ __counted_by(n) all, int n)",
    "int plain(struct pair { int a, b; } *only, double d)",
    "void upper(char *__null_terminated _Inout_ text, char *_Out_ __counted_by(n) b, int n)",
    "extern FILE *stdout",
    "extern int opterr",
    "extern long offset",
    "extern const unsigned long limit",
    "extern bool on",
    "extern unsigned short port",
    "extern signed char sign",
    "extern float ratio",
    "extern double pi",
    "extern const char *const version",
    "extern const char name[]",
    "extern const uint32_t table[256]",
    "void *__cookie swap(struct db *db, void *__cookie user, void *__cookie *_Nullable _Out_ old)",
    "int __handle open_file(const char *path, struct db *db, int flags)",
    "fd_t duplicate(fd_t fd)",
    "unsigned __handle socket_of(unsigned fd __handle, unsigned __handle *_Out_ peer)",
    "int shut(int fd __handle __consumes_if(return == 0))",
    "int __handle __lifetimebound(db) __borrowed descriptor_of(struct db *db)",
    "int accept(int fd __handle, int __handle *_Nullable _Out_ peer, struct db *db __exclusive)",
    "struct db *share(struct db *db __retains, struct stmt *__exclusive stmt)",
    "int attach(struct db *db, struct stmt *stmt __captured_by(db), struct blob *_Nullable blob \
     __escapes, const char *name __captured_by(db), const char *_Nullable label __escapes)",
    "struct view *view(struct db *db __captured_by(return), \
     const uint16_t *__counted_by(n * 2) __captured_by(return) at, int n)",
    "struct grid *__remember(width = w) __remember(height = h > 0 ? h : 0) grid(int w, int h)",
    "int resize(struct grid *grid __remember(width = w) __remember(old = grid.width), int w, \
     struct grid *__remember(width = grid.height) *_Out_ other)",
    "int blit(struct grid *grid, uint8_t *_Out_ __counted_by(grid.width * grid.height) out, \
     int row __range(0, grid.height - 1), struct grid *mask) __requires(mask.width == grid.width)",
    "int close_input(struct db *_Nullable *_Inout_ __consumes db, struct db *other)",
    "int close_some(struct db **_Nullable __consumes_if(return > how) db, int how)",
    "int z_init(zs *_Out_ z, int size __value(sizeof(zs)))",
    "int z_step(zs *z, int flush, uint8_t *_Out_ __counted_by(n) left, unsigned n)",
    "int z_copy(zs *_Out_ to, zs *from)",
    "int z_end(zs *__consumes z)",
    "int z_look(const zs *z, zt *other)",
    "int z_free(zs *__consumes_if(return == 0) z, int how __range(z->code, 9))",
    "int z_level(zs *_Out_ __remember(level = level) __remember(code = z->code) z, int level)",
    "int z_use(zs *z __exclusive __remember(level = z.level + z->adler), \
     uint8_t *_Out_ __counted_by(z.level + 1) out, const zs *w) __requires(z->code > w->code)",
    "int h_init(hs *_Out_ h)",
    "int h_final(uint8_t *_Out_ __counted_by(h_size(h, base) + 2) md, int base __range(2, 62), \
     const hs *h, hs *other)",
    "int variadic(const char *name, ..., double, long, int *_Out_ __counted_by(2))",
    "void qsort(void *__sized_by(n * size) base, size_t n, size_t size, \
     int (*compar)(const void *__sized_by(size) a, const void *__sized_by(size) b))",
    "void *__cookie carried(struct db *db, void *__cookie app, void *__cookie (*f)(void *__cookie a, int n, \
     char *_Nullable __null_terminated *_In_ __counted_by_or_null(n) values, struct stmt **_In_ \
     __counted_by(n) stmts, const uint16_t *__null_terminated *__null_terminated wide) \
     __captured_by(db), void *__closure(g) with, int (*_Nullable g)(const void *__cookie key))",
    "int scalars(double (*f)(bool a, signed char b, unsigned short c, long d, unsigned long e, \
     float f, double g, long long h) __on_trap(-3), bool (*_Nullable g)(void))",
    "void hook(struct db *db, int (*_Nullable f)(int) __captured_by(db), \
     long (*g)(long) __escapes, struct stmt *s, void (*h)(void) __captured_by(s))",
    "struct db *with(unsigned char (*f)(struct stmt *s, const char *text, int n, \
     uint8_t *__counted_by(n + 1) data, const struct point { double x; long y; } *p) \
     __captured_by(return))",
    "int back(const char *(*f)(long double l, __int128 i, \
     float __attribute__((vector_size(16))) v), \
     struct db *_Nullable (*g)(struct small { short a; int b; long c; } s), \
     const uint16_t *__counted_by(n) (*h)(int n), struct large { long a[5]; char c; } (*i)(void), \
     struct both { double x; long y; } (*j)(int m), double *(*k)(int *_In_ i, uint32_t *o))",
    "int module(struct db *db, const struct vtable { const char *name; int n; const int *__counted_by(n) at; \
     void (*f)(int) __captured_by(db); void *__cookie user; const struct vtable *_Nullable next; } *v \
     __captured_by(db), struct vtable *_Nullable other)",
    "struct db *from(const char *const *__null_terminated names __captured_by(return), \
     const long *one __captured_by(global), const bool *__counted_by(n) flags __captured_by(return), int n, \
     const struct fixed { int a, b; } *fixed __captured_by(return), int m __range(0, fixed->a))",
    "struct db *registered(struct db *db, struct stmt *s, struct handlers { void (*_Nullable start)(int depth) \
     __captured_by(return); void *__closure(start) user; void (*end)(int depth) __captured_by(db); \
     struct handlers *_Nullable next; long (*log)(long level) __escapes __on_trap(-1); } *_Inout_ h)",
    "int ordered(const struct order { int (*compare)(void *__cookie user, int a, int b); void *__cookie user; \
     struct { long n; void *__cookie *_Inout_ __counted_by(n) all; } in[2]; } *__counted_by(n) orders, int n, \
     int (**_In_ __null_terminated more)(int), void (*f)(int))",
    "struct order2 { int (*f)(void *__cookie user); void *__closure(f) user; struct order2 *_Nullable next; } \
     *__lifetimebound(static) current(struct db *db, struct order3 { void (*g)(void) __captured_by(db); } *_Out_ o)",
    "int wide(__int128 (*f)(void), long double (*g)(int a, int b, int c, int d, int e, int f, \
     int g, short h, int *__null_terminated i))",
    "int walk(int (*f)(const struct rec { const char *name; unsigned long n; const int \
     *__counted_by(n) values; struct rec *_Nullable next; } *r, int n __range(0, 9) __range(20)), \
     int __range(-1, 1) (*g)(struct db *db, struct stmt *s __lifetimebound(db), struct db *all \
     __lifetimebound(static)))",
    "void fills(void (*f)(struct cell { long n; bool b; int *_Nullable __counted_by(2 * n) at; struct \
     db *_Nullable owner; } *_Inout_ c, long *_Out_ l, int (*_Nullable h)(int)), int (*_Nullable \
     (*g)(int a))(const char *s, long n))",
    "int ends(int (*f)(const long *__null_terminated all, const struct kv { const char *_Nullable key; \
     long v; } *__terminated_by(.key) kvs, uint8_t *__counted_by(*n) buf, size_t *_Inout_ n), const \
     char *const *__null_terminated (*complete)(const char *word, long *_Inout_ at))",
    "int by_address(int (*f)(struct large { long a[5]; char c; } l, int fd __handle), int __handle \
     (*g)(const struct opts { long size; bool deep; } *o), const struct opts2 { long size; } \
     *_Nullable (*h)(int i), const bool *__counted_by(n) (*i)(int n))",
];

/// Those that only leaf functions may have.
pub(crate) const LEAVES: &[&str] = &[
    "int next(const char **_Inout_ cursor, char *_Out_ __counted_by(16) word)",
    "void upper(char *__null_terminated _Inout_ text, const char *except)",
    "int copy(bool deep __value(n * 2), int n, int __range(0, n) *_Inout_ at)",
];

/// Types of the same library.
const TYPES: &str = r#"
#pragma portcullis library "libcorpus.so" module "corpus"
typedef struct zs {
    const uint8_t *_Nullable __counted_by(avail) next;
    unsigned avail;
    unsigned long total;
    const char *msg __private;
    struct inner *state __private;
    void *opaque __private;
    int adler;
    unsigned short given _In_;
    int code _Out_;
} zs __boxed __drop(z_end);
typedef int fd_t __handle __drop(fd_close);
typedef struct zt { void *state __private; int *__counted_by(2 * n) at; long n; } zt __boxed;
typedef struct hs { char kind; char state[33] __private; long more[2] __private; } hs __boxed;
int z_end(zs *__consumes z);
int fd_close(fd_t fd __consumes);
"#;

/// Other prototypes of the same library.
const GRANTS: &[&str] = &[
    "__attribute__((pure)) int column_bytes(struct stmt *stmt, int i)",
    "__attribute__((pure)) unsigned long h_size(const hs *h, int base __range(2, 62))",
];

/// Handle types numbered by tag.
struct ByTag;

impl HandleTypes for ByTag {
    fn number(&self, record: &Record) -> HandleType {
        let tag = record.tag.as_ref().map_or("", |tag| &tag.name);
        let hash = tag.bytes().fold(7_u32, |all, byte| all.wrapping_mul(31) + u32::from(byte));
        HandleType(hash & HandleType::LAST)
    }
}

/// The names of the library's interface.
pub(crate) fn scope() -> &'static Scope {
    static INTERFACE: OnceLock<Interface> = OnceLock::new();
    let types = || parse_interface("corpus.h", TYPES).unwrap_or_else(|errors| panic!("{errors}"));
    &INTERFACE.get_or_init(types).scope
}

/// For whom a plan of the corpus is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct For {
    pub(crate) model: DataModel,
    pub(crate) abi: Abi,
    pub(crate) leaf: bool,
}

impl For {
    /// Every combination.
    pub(crate) fn all() -> impl Iterator<Item = For> {
        [DataModel::Ilp32, DataModel::Lp64].into_iter().flat_map(|model| {
            Abi::ALL.into_iter().flat_map(move |abi| {
                [true, false].into_iter().map(move |leaf| For { model, abi, leaf })
            })
        })
    }

    /// The plan of one prototype.
    pub(crate) fn plan(self, text: &str) -> Plan {
        let scope = scope();
        let parse = |text: &str| -> Arc<Prototype> {
            match parse_prototype(text, scope) {
                Ok(prototype) => Arc::new(prototype),
                Err(errors) => panic!("{errors}"),
            }
        };
        let grants: HashMap<String, Arc<Prototype>> =
            GRANTS.iter().map(|text| parse(text)).map(|p| (p.name.to_string(), p)).collect();
        let find = |name: &str| grants.get(name).map(Arc::clone);
        let target = Target {
            model: self.model,
            abi: self.abi,
            leaf: self.leaf,
            scope,
            import: None,
            handle_types: &ByTag,
            grants: &find,
        };
        match compile(&parse(text), &target) {
            Ok(plan) => plan,
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

/// All plans, with the ABI that they are for.
pub(crate) fn plans() -> Vec<(&'static str, Plan, Abi)> {
    let each = |one: For| {
        let leaves = if one.leaf { LEAVES } else { &[] };
        PROTOTYPES.iter().chain(leaves).map(move |text| (*text, one.plan(text), one.abi))
    };
    let mut all: Vec<_> = For::all().flat_map(each).collect();
    let callbacks = |(text, plan, abi): &(&'static str, Plan, Abi)| {
        let (text, abi) = (*text, *abi);
        let plans: Vec<Plan> = plan.callbacks.iter().map(|one| Plan::clone(&one.plan)).collect();
        plans.into_iter().map(move |plan| (text, plan, abi))
    };
    let inner: Vec<_> = all.iter().flat_map(callbacks).collect();
    all.extend(inner);
    all
}
