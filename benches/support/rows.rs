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
/// What C calls it.
const PAIR: &str = "struct pair { double x, y; };\n";
/// What lies there: a string of 8 bytes.
const DATA: &str = "portcull";

/// The most parameters of the rows that only differ in their number.
pub const MOST_PARAMS: usize = 12;

/// All rows.
pub fn all() -> Vec<Row> {
    use Argument::{Constant, Counter, Data, Last};
    use Type::{F64, I32, I64, Pair, Pointer, Size};
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

impl Type {
    fn c(self) -> &'static str {
        match self {
            Type::I32 => "int",
            Type::I64 => "int64_t",
            Type::F64 => "double",
            Type::Size => "size_t",
            Type::Pointer => "const void *",
            Type::Pair => "struct pair",
        }
    }

    pub fn wasm(self) -> &'static str {
        match self {
            Type::I32 | Type::Size | Type::Pointer | Type::Pair => "i32",
            Type::I64 => "i64",
            Type::F64 => "f64",
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
    let mut text =
        String::from("#include <stddef.h>\n#include <stdint.h>\n#define __counted_by(e)\n");
    text.push_str(PAIR);
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
         static char data[1024];\nstatic volatile double sink;\n",
    );
    text.push_str(PAIR);
    let mut bind = String::from(
        "int bind(const char *path) {\n  void *lib = dlopen(path, RTLD_NOW);\n  if (!lib) return 1;\n",
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
        if row.result == Type::Pair {
            writeln!(
                text,
                "static {result} (*volatile f_{symbol})({types});
void run_{symbol}(int n) {{ {result} last = {{1, 2}}; for (; n; n--) last = {call}; sink = last.x; }}
void empty_{symbol}(int n) {{ {result} last = {{1, 2}}; for (; n; n--) {{ last.x = 0.5 * last.x; __asm__ volatile(\"\" : \"+x\"(last.x)); }} sink = last.x; }}"
            )
            .expect("a string takes everything");
            writeln!(bind, "  if (!(f_{symbol} = dlsym(lib, \"{symbol}\"))) return 2;")
                .expect("a string takes everything");
            continue;
        }
        writeln!(
            text,
            "static {result} (*volatile f_{symbol})({types});
void run_{symbol}(int n) {{ {result} last = 1; for (; n; n--) last = {call}; sink = last; }}
void empty_{symbol}(int n) {{ {result} last = 1; for (; n; n--) {{ {} __asm__ volatile(\"\" : \"+{}\"(last)); }} sink = last; }}",
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
        (Argument::Data, _) => "data".to_owned(),
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
    writeln!(text, "(memory (export \"memory\") 1) (data (i32.const {DATA_AT}) \"{DATA}\")")
        .expect("a string takes everything");
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
        for (name, step) in [("run", call), ("empty", nothing)] {
            writeln!(
                text,
                "(func (export \"{name}_{}\") (param $n i32) (result {ty}) (local $last {ty})
  (local.set $last ({ty}.const 1))
  (loop $again
    (local.set $last {step})
    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (local.get $last))",
                row.symbol
            )
            .expect("a string takes everything");
        }
    }
    text + ")"
}

/// The loops of a function that takes a struct and returns one.
fn pair_loops(row: &Row) -> String {
    let at = format!("(i32.const {PAIR_AT})");
    let halved = format!("(f64.store {at} (f64.mul (f64.const 0.5) (f64.load {at})))");
    let call = format!("(call ${} {at} {at})", row.symbol);
    let one = |(name, step): (&str, String)| {
        format!(
            "(func (export \"{name}_{}\") (param $n i32) (result f64)
  (f64.store {at} (f64.const 1))
  (loop $again
    {step}
    (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
  (f64.load {at}))\n",
            row.symbol
        )
    };
    [("run", call), ("empty", halved)].map(one).concat()
}

fn wasm_argument((ty, argument): &(Type, Argument)) -> String {
    match (argument, ty) {
        (Argument::Last, _) => "(local.get $last)".to_owned(),
        (Argument::Counter, Type::I64) => "(i64.extend_i32_u (local.get $n))".to_owned(),
        (Argument::Counter, _) => "(local.get $n)".to_owned(),
        (Argument::Constant(value), ty) => format!("({}.const {value})", ty.wasm()),
        (Argument::Data, _) => format!("(i32.const {DATA_AT})"),
    }
}
