//! What is measured: a C function a row, and the loop around it, in C and in wasm.
use std::fmt::Write as _;

/// Type of a parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    I32,
    I64,
    F64,
    /// `size_t`, an `i32` of the guest.
    Size,
    /// A pointer into the guest's memory, to [`DATA`].
    Pointer,
    /// `struct pair { double x, y; }`: in the guest's memory, at [`PAIR_AT`].
    Pair,
    /// A pointer to one of the [`RECORDS`] in the guest's memory.
    Record(Record),
    /// `struct thing *`: a handle.
    Thing,
}

/// What lies behind a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// `struct span`: the same bytes on both sides.
    Span,
    /// `struct stamp`: a `long` is longer on the host.
    Stamp,
    /// Two of `struct piece`, as `struct iovec` is: pointers with lengths.
    Pieces,
}

/// What the loop passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// The result of the call before: calls depend on one another, as in a program that uses
    /// results.
    Last,
    /// What is left of the loop.
    Counter,
    Constant(i32),
    Data,
    /// What the guest's loop has opened before it began.
    Opened,
}

/// A function that is measured.
#[derive(Clone, Debug)]
pub struct Row {
    /// What tables call it.
    pub title: String,
    pub symbol: String,
    pub prototype: String,
    /// The body of the C function.
    body: String,
    pub params: Vec<(Type, Argument)>,
    pub result: Type,
    /// How many parameters, in the rows that only differ in that.
    pub slope: Option<usize>,
}

/// Where [`Argument::Data`] lies in the guest's memory.
const DATA_AT: u32 = 1024;
/// Where the one [`Type::Pair`] lies: each call reads it from there and writes it there.
const PAIR_AT: u32 = 2048;
/// What C calls it, and the records behind pointers.
const PAIR: &str = "struct pair { double x, y; };
struct span { int64_t start, length; };
struct stamp { long sec; int nsec; };
struct piece { const void *__sized_by(len) base; size_t len; };
struct thing;
struct thing *open_thing(void);
";
/// What handles stand for.
const THING: &str = "struct thing { int value; };
struct thing *open_thing(void) { static struct thing one = { 3 }; return &one; }
";
/// The records, as C has them.
const RECORDS: &str = "static struct span span = { 1, 2 };
static struct stamp stamp = { 1, 2 };
static struct piece pieces[2] = { { data, 4 }, { data + 4, 4 } };
";
/// And as the guest has them: little-endian, a pointer and a `long` of 4 bytes.
const GUEST_RECORDS: [(u32, &[u32]); 3] = [
    (Record::Span.at(), &[1, 0, 2, 0]),
    (Record::Stamp.at(), &[1, 2]),
    (Record::Pieces.at(), &[DATA_AT, 4, DATA_AT + 4, 4]),
];
/// What lies there: a string of 8 bytes.
const DATA: &str = "portcull";

/// The most parameters of the rows that only differ in their number.
pub const MOST_PARAMS: usize = 12;

/// All rows.
pub fn all() -> Vec<Row> {
    use Argument::{Constant, Counter, Data, Last, Opened};
    use Type::{F64, I32, I64, Pair, Pointer, Size, Thing};
    let behind = |record| vec![(Type::Record(record), Data), (I32, Last)];
    let row = |title: &str, prototype: &str, body: &str, params, result| Row {
        title: title.to_owned(),
        symbol: prototype
            .split('(')
            .next()
            .and_then(|head| head.split(' ').next_back())
            .expect("type and name")
            .to_owned(),
        prototype: prototype.to_owned(),
        body: body.to_owned(),
        params,
        result,
        slope: None,
    };
    let constants = |n: i32, ty: Type| (0..n).map(move |i| (ty, Constant(i + 2)));
    let first = |ty: Type| vec![(ty, Last), (ty, Counter)];
    let mut rows = vec![
        row("i32(i32, i32)", "int add(int a, int b)", "return a + b;", first(I32), I32),
        row("f64(f64)", "double half(double x)", "return 0.5 * x;", vec![(F64, Last)], F64),
        row(
            "buffer (ptr, i32, size_t)",
            "int buffer(const uint8_t *__counted_by(len) data, int a, size_t len)",
            "return a + data[len - 1];",
            vec![(Pointer, Data), (I32, Last), (Size, Constant(64))],
            I32,
        ),
        row(
            "string of 8 bytes",
            "int text(const char *s, int a)",
            "return a + s[7];",
            vec![(Pointer, Data), (I32, Last)],
            I32,
        ),
        row(
            "handle",
            "int look(struct thing *t, int a)",
            "return a + t->value;",
            vec![(Thing, Opened), (I32, Last)],
            I32,
        ),
        row(
            "8 x i32",
            "int eight(int a, int b, int c, int d, int e, int f, int g, int h)",
            "return a + b + c + d + e + f + g + h;",
            first(I32).into_iter().chain(constants(6, I32)).collect(),
            I32,
        ),
        row(
            "struct{f64, f64} in and out",
            "struct pair swap(struct pair p)",
            "return (struct pair){ p.y, p.x };",
            vec![(Pair, Last)],
            Pair,
        ),
        row(
            "struct by pointer, in place",
            "int within(const struct span *s, int a)",
            "return a + (int)s->length;",
            behind(Record::Span),
            I32,
        ),
        row(
            "struct by pointer, converted",
            "int since(const struct stamp *s, int a)",
            "return a + s->nsec;",
            behind(Record::Stamp),
            I32,
        ),
        row(
            "two iovecs",
            "int gather(const struct piece *__counted_by(n) p, int a, int n)",
            "return a + ((const char *)p[n - 1].base)[3];",
            behind(Record::Pieces).into_iter().chain([(I32, Constant(2))]).collect(),
            I32,
        ),
        row(
            "6 i64 + 8 f64 + 4 i64",
            "int64_t mixed(int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f, \
             double p, double q, double r, double s, double t, double u, double v, double w, \
             int64_t g, int64_t h, int64_t i, int64_t j)",
            "return a + b + c + d + e + f + g + h + i + j \
             + (p + q + r + s + t + u + v + w > 0);",
            first(I64)
                .into_iter()
                .chain(constants(4, I64))
                .chain(constants(8, F64))
                .chain(constants(4, I64))
                .collect(),
            I64,
        ),
    ];
    rows.extend((0..=MOST_PARAMS).map(slope));
    rows
}

/// The row of a function of so many `int`s.
fn slope(count: usize) -> Row {
    let names: Vec<String> = (0..count).map(|i| format!("a{i}")).collect();
    let declared: Vec<String> = names.iter().map(|name| format!("int {name}")).collect();
    let declared = if count == 0 { "void".to_owned() } else { declared.join(", ") };
    let sum = if count == 0 { "7".to_owned() } else { names.join(" + ") };
    let arguments = (0..count).map(|i| match i {
        0 => Argument::Last,
        1 => Argument::Counter,
        _ => Argument::Constant(i32::try_from(i).expect("few parameters")),
    });
    Row {
        title: format!("{count} x i32"),
        symbol: format!("ints{count}"),
        prototype: format!("int ints{count}({declared})"),
        body: format!("return {sum};"),
        params: arguments.map(|argument| (Type::I32, argument)).collect(),
        result: Type::I32,
        slope: Some(count),
    }
}

impl Row {
    /// Whether one of the arguments is a handle.
    fn opens(&self) -> bool {
        self.params.iter().any(|(_, argument)| *argument == Argument::Opened)
    }
}

impl Type {
    fn c(self) -> &'static str {
        match self {
            Type::I32 => "int",
            Type::I64 => "int64_t",
            Type::F64 => "double",
            Type::Size => "size_t",
            Type::Pointer => "const void *",
            Type::Pair => "struct pair",
            Type::Record(Record::Span) => "const struct span *",
            Type::Record(Record::Stamp) => "const struct stamp *",
            Type::Record(Record::Pieces) => "const struct piece *",
            Type::Thing => "struct thing *",
        }
    }

    pub fn wasm(self) -> &'static str {
        match self {
            Type::I32 | Type::Size | Type::Pointer | Type::Pair | Type::Record(_) | Type::Thing => {
                "i32"
            }
            Type::I64 => "i64",
            Type::F64 => "f64",
        }
    }
}

impl Record {
    /// Where it lies in the guest's memory.
    const fn at(self) -> u32 {
        match self {
            Record::Span => 3072,
            Record::Stamp => 3104,
            Record::Pieces => 3136,
        }
    }

    /// C's expression for its address.
    fn c(self) -> &'static str {
        match self {
            Record::Span => "&span",
            Record::Stamp => "&stamp",
            Record::Pieces => "pieces",
        }
    }
}

/// The interface that grants every row.
pub fn interface(rows: &[Row]) -> String {
    let mut text = String::from("#pragma portcullis library \"libcallees.so\" module \"bench\"\n");
    text.push_str(PAIR);
    for row in rows {
        writeln!(text, "{};", row.prototype).expect("a string takes everything");
    }
    text
}

/// The library of the functions.
pub fn callees(rows: &[Row]) -> String {
    let mut text = String::from(
        "#include <stddef.h>\n#include <stdint.h>\n#define __counted_by(e)\n#define __sized_by(e)\n",
    );
    text.push_str(PAIR);
    text.push_str(THING);
    for row in rows {
        writeln!(text, "{} {{ {} }}", row.prototype, row.body).expect("a string takes everything");
    }
    text
}

/// C loops around the functions: each calls through a volatile pointer from `dlsym`. `run_NAME` and
/// `empty_NAME` take the number of calls.
pub fn loops(rows: &[Row]) -> String {
    let mut text = String::from(
        "#include <dlfcn.h>\n#include <stddef.h>\n#include <stdint.h>\n\
         #define __sized_by(e)\nstatic char data[1024];\nstatic volatile double sink;\n",
    );
    text.push_str(PAIR);
    text.push_str(RECORDS);
    text.push_str("static struct thing *thing;\n");
    let mut bind = String::from(
        "int bind(const char *path) {\n  void *lib = dlopen(path, RTLD_NOW);\n  if (!lib) return 1;\n  \
         struct thing *(*open)(void) = dlsym(lib, \"open_thing\");\n  if (!open) return 3;\n  thing = open();\n",
    );
    for c in DATA.chars().enumerate() {
        writeln!(bind, "  data[{}] = '{}';", c.0, c.1).expect("a string takes everything");
    }
    for row in rows {
        let Row { symbol, result, .. } = row;
        let result = result.c();
        let types: Vec<&str> = row.params.iter().map(|(ty, _)| ty.c()).collect();
        let types = if types.is_empty() { "void".to_owned() } else { types.join(", ") };
        let arguments: Vec<String> = row.params.iter().map(c_argument).collect();
        let call = format!("f_{symbol}({})", arguments.join(", "));
        let opened = if row.opens() { "struct thing *opened = thing; " } else { "" };
        if row.result == Type::Pair {
            writeln!(
                text,
                "static {result} (*volatile f_{symbol})({types});
void run_{symbol}(int n) {{ {result} last = {{1, 2}}; do {{ n--; last = {call}; }} while (n); sink = last.x; }}
void empty_{symbol}(int n) {{ do {{ n--; __asm__ volatile(\"\" : \"+r\"(n)); }} while (n); }}"
            )
            .expect("a string takes everything");
            writeln!(bind, "  if (!(f_{symbol} = dlsym(lib, \"{symbol}\"))) return 2;")
                .expect("a string takes everything");
            continue;
        }
        writeln!(
            text,
            "static {result} (*volatile f_{symbol})({types});
void run_{symbol}(int n) {{ {result} last = 1; {opened}do {{ n--; last = {call}; }} while (n); sink = last; }}
void empty_{symbol}(int n) {{ {result} last = 1; do {{ n--; {} __asm__ volatile(\"\" : \"+{}\"(last)); }} while (n); sink = last; }}",
            if row.result == Type::F64 { "last = 0.5 * last;" } else { "last ^= n;" },
            if row.result == Type::F64 { "x" } else { "r" },
        )
        .expect("a string takes everything");
        writeln!(bind, "  if (!(f_{symbol} = dlsym(lib, \"{symbol}\"))) return 2;")
            .expect("a string takes everything");
    }
    text + &bind + "  return 0;\n}\n"
}

fn c_argument((ty, argument): &(Type, Argument)) -> String {
    match (argument, ty) {
        (Argument::Last, _) => "last".to_owned(),
        (Argument::Counter, _) => "n".to_owned(),
        (Argument::Constant(value), _) => value.to_string(),
        (Argument::Data, Type::Record(record)) => record.c().to_owned(),
        (Argument::Data, _) => "data".to_owned(),
        (Argument::Opened, _) => "opened".to_owned(),
    }
}

/// The same loops in wasm.
pub fn guest(rows: &[Row]) -> String {
    let mut text = String::from("(module\n");
    for Row { symbol, params, result, .. } in rows {
        let params: Vec<&str> = params.iter().map(|(ty, _)| ty.wasm()).collect();
        if *result == Type::Pair {
            writeln!(text, "(import \"bench\" \"{symbol}\" (func ${symbol} (param i32 i32)))")
                .expect("a string takes everything");
            continue;
        }
        writeln!(
            text,
            "(import \"bench\" \"{symbol}\" (func ${symbol} (param {}) (result {})))",
            params.join(" "),
            result.wasm()
        )
        .expect("a string takes everything");
    }
    text.push_str("(import \"bench\" \"open_thing\" (func $open_thing (result i32)))\n");
    writeln!(text, "(memory (export \"memory\") 1) (data (i32.const {DATA_AT}) \"{DATA}\")")
        .expect("a string takes everything");
    for (at, words) in GUEST_RECORDS {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        let bytes: String = bytes.map(|byte| format!("\\{byte:02x}")).collect();
        writeln!(text, "(data (i32.const {at}) \"{bytes}\")").expect("a string takes everything");
    }
    for row in rows {
        if row.result == Type::Pair {
            text.push_str(&pair_loops(row));
            continue;
        }
        let ty = row.result.wasm();
        let arguments: Vec<String> = row.params.iter().map(wasm_argument).collect();
        let call = format!("(call ${} {})", row.symbol, arguments.join(" "));
        let nothing = match row.result {
            Type::F64 => "(f64.mul (f64.const 0.5) (local.get $last))".to_owned(),
            Type::I64 => "(i64.xor (local.get $last) (i64.extend_i32_u (local.get $n)))".to_owned(),
            _ => "(i32.xor (local.get $last) (local.get $n))".to_owned(),
        };
        let opened = if row.opens() { "  (local.set $opened (call $open_thing))\n" } else { "" };
        for (name, step) in [("run", call), ("empty", nothing)] {
            writeln!(
                text,
                "(func (export \"{name}_{}\") (param $n i32) (result {ty}) (local $last {ty}) (local $opened i32)
{opened}  (local.set $last ({ty}.const 1))
  (loop $again
    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
    (local.set $last {step})
    (br_if $again (local.get $n)))
  (local.get $last))",
                row.symbol
            )
            .expect("a string takes everything");
        }
    }
    text + ")"
}

/// The loops of a function that takes a struct and returns one. What goes through memory from one call to the next is
/// what such calls cost, and is not taken off: the empty loop counts.
fn pair_loops(row: &Row) -> String {
    let at = format!("(i32.const {PAIR_AT})");
    let call = format!("(call ${} {at} {at})", row.symbol);
    let one = |(name, step): (&str, String)| {
        format!(
            "(func (export \"{name}_{}\") (param $n i32) (result f64)
  (f64.store {at} (f64.const 1))
  (loop $again
    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
    {step}
    (br_if $again (local.get $n)))
  (f64.load {at}))\n",
            row.symbol
        )
    };
    [("run", call), ("empty", String::new())].map(one).concat()
}

fn wasm_argument((ty, argument): &(Type, Argument)) -> String {
    match (argument, ty) {
        (Argument::Last, _) => "(local.get $last)".to_owned(),
        (Argument::Counter, Type::I64) => "(i64.extend_i32_u (local.get $n))".to_owned(),
        (Argument::Counter, _) => "(local.get $n)".to_owned(),
        (Argument::Constant(value), ty) => format!("({}.const {value})", ty.wasm()),
        (Argument::Data, Type::Record(record)) => format!("(i32.const {})", record.at()),
        (Argument::Data, _) => format!("(i32.const {DATA_AT})"),
        (Argument::Opened, _) => "(local.get $opened)".to_owned(),
    }
}
