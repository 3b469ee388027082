//! Cases as texts: the interface that grants them, the library that defines them, the guest that
//! calls them.
use crate::case::{ARGUMENTS, Batch, Case, Class, Count, Kind, Param, RESULT, Returned, Wasm, Way};
use std::fmt::Write as _;

/// The enums that [`SCALARS`](crate::case::SCALARS) names.
const ENUMS: &str = "\
enum color { RED, GREEN = 5, BLUE = 4000000000 };
enum sign { MINUS = -1, ZERO, PLUS };
";

/// How much a prototype says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Everything.
    Full,
    /// Sizes in brackets where that is possible.
    Brackets,
    /// C and nothing else.
    Bare,
}

/// The name of the library that the interface of a batch asks for.
pub fn library(batch: &Batch) -> String {
    format!("libbatch{}.so", batch.number)
}

fn module(batch: &Batch) -> String {
    format!("batch{}", batch.number)
}

/// The interface of a batch.
pub fn interface(batch: &Batch) -> String {
    let (library, module) = (library(batch), module(batch));
    let mut text = format!("#pragma portcullis library \"{library}\" module \"{module}\"\n{ENUMS}");
    for case in &batch.cases {
        writeln!(text, "{};", prototype(case)).expect("a string takes everything");
    }
    text
}

/// The prototype that is granted for a case.
pub fn prototype(case: &Case) -> String {
    written(case, Style::Full)
}

fn written(case: &Case, style: Style) -> String {
    let params: Vec<String> =
        case.params.iter().enumerate().map(|(at, param)| declare(at, param, style)).collect();
    let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    let result = match case.result {
        Returned::Void => "void ".to_owned(),
        Returned::Scalar { ty, .. } => format!("{} ", ty.spelling),
        Returned::NoText => "const char *".to_owned(),
        Returned::Inside { param, .. } => match &case.params[param].kind {
            Kind::Buffer { element: Some(element), way, .. } => {
                format!("{}{} *", constant(*way == Way::In), element.spelling)
            }
            _ => "const char *".to_owned(),
        },
    };
    format!("{result}f{}({params})", case.number)
}

fn constant(is_const: bool) -> &'static str {
    if is_const { "const " } else { "" }
}

fn declare(at: usize, param: &Param, style: Style) -> String {
    let annotated = |declaration: String, annotations: &[(bool, &str)]| {
        let mut text = declaration;
        for (_, annotation) in annotations.iter().filter(|(there, _)| *there) {
            if style != Style::Bare {
                text.push_str(annotation);
                text.push(' ');
            }
        }
        format!("{text}a{at}")
    };
    match &param.kind {
        Kind::Scalar { ty, .. } => format!("{} a{at}", ty.spelling),
        Kind::Buffer { element, way, count, nullable, .. } => {
            let is_const = constant(*way == Way::In);
            let element_name = element.map_or("void", |element| element.spelling);
            let count = expression(*count);
            if style == Style::Brackets && element.is_some() && !nullable {
                return format!("{is_const}{element_name} a{at}[{count}]");
            }
            let annotation = match (element, nullable) {
                (None, _) => "__sized_by",
                (Some(_), false) => "__counted_by",
                (Some(_), true) => "__counted_by_or_null",
            };
            let bound = format!("{annotation}({count})");
            annotated(
                format!("{is_const}{element_name} *"),
                &[(true, &bound), (*way == Way::Out, "_Out_")],
            )
        }
        Kind::Single { ty, way, nullable, .. } => annotated(
            format!("{}{} *", constant(*way == Way::In), ty.spelling),
            &[
                (ty.host_size() == 1, "__single"),
                (*nullable, "_Nullable"),
                (*way == Way::Out, "_Out_"),
            ],
        ),
        Kind::Text { mutable, nullable, .. } => annotated(
            format!("{}char *", constant(!mutable)),
            &[(*mutable, "__null_terminated"), (*nullable, "_Nullable")],
        ),
    }
}

fn expression(count: Count) -> String {
    match count {
        Count::Constant(n) => n.to_string(),
        Count::Param(at) => format!("a{at}"),
        Count::Cell(at) => format!("*a{at}"),
        Count::Linear(at, times, plus) => format!("a{at} * {times} + {plus}"),
    }
}

/// What every library begins with: a log that functions write what they received to.
const RECORDER: &str = r#"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
enum color { RED, GREEN = 5, BLUE = 4000000000 };
enum sign { MINUS = -1, ZERO, PLUS };

static unsigned char bytes[1 << 16];
static size_t used, calls;

__attribute__((noinline)) static void put(const void *from, size_t n) {
    if (n > sizeof bytes - used) __builtin_trap();
    memcpy(bytes + used, from, n);
    used += n;
}
__attribute__((noinline)) static void put_pointer(const volatile void *p) { put(&p, sizeof p); }
__attribute__((noinline)) static void fill(void *to, size_t n, unsigned seed) {
    for (size_t i = 0; i < n; i++) ((unsigned char *)to)[i] ^= (unsigned char)(seed + 31 * i);
}
static double raw_double(uint64_t bits) { double d; memcpy(&d, &bits, 8); return d; }
static float raw_float(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }

void log_reset(void) { used = 0; calls = 0; }
const unsigned char *log_bytes(void) { return bytes; }
size_t log_used(void) { return used; }
size_t log_calls(void) { return calls; }
"#;

/// The C source of a batch's library.
pub fn c(batch: &Batch) -> String {
    let mut text = RECORDER.to_owned();
    for case in &batch.cases {
        define(&mut text, case, batch.wide).expect("a string takes everything");
    }
    text
}

/// The byte that the pattern of a filled buffer begins with.
pub fn pattern(case: &Case, at: usize) -> u8 {
    u8::try_from((case.number * 7 + at * 13) % 256).expect("below 256")
}

fn define(text: &mut String, case: &Case, wide: bool) -> std::fmt::Result {
    // The result comes through a wider type where garbage must stand above it.
    let result = match case.result {
        Returned::Void => "void",
        Returned::Scalar { garbage: None, ty, .. } => ty.spelling,
        Returned::Scalar { ty, .. } if ty.class == Class::Float => "double",
        Returned::Scalar { .. } => "unsigned long long",
        Returned::Inside { .. } | Returned::NoText => "const void *",
    };
    let params: Vec<String> = case
        .params
        .iter()
        .enumerate()
        .map(|(at, param)| match &param.kind {
            Kind::Scalar { ty, extended: true } => {
                format!("{} a{at}", if ty.is_signed() { "int" } else { "unsigned" })
            }
            _ => declare(at, param, Style::Bare),
        })
        .collect();
    let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    writeln!(text, "{result} f{}({params}) {{\n    calls++;", case.number)?;
    for (at, param) in case.params.iter().enumerate() {
        match &param.kind {
            Kind::Scalar { .. } => writeln!(text, "    put(&a{at}, sizeof a{at});")?,
            Kind::Buffer { element, way, count, .. } => {
                writeln!(text, "    put_pointer(a{at});")?;
                if *way != Way::Out {
                    let bytes = c_bytes(at, element.is_some(), *count);
                    writeln!(text, "    if (a{at}) put(a{at}, {bytes});")?;
                }
            }
            Kind::Single { way, .. } => {
                writeln!(text, "    put_pointer(a{at});")?;
                // What is in place and goes out only may hold anything; a cell is zero.
                if *way != Way::Out || !param.kind.is_in_place(wide) {
                    writeln!(text, "    if (a{at}) put(a{at}, sizeof *a{at});")?;
                }
            }
            Kind::Text { .. } => {
                writeln!(
                    text,
                    "    put_pointer(a{at}); if (a{at}) put(a{at}, strlen(a{at}) + 1);"
                )?;
            }
        }
    }
    for (at, param) in case.params.iter().enumerate() {
        match &param.kind {
            Kind::Buffer { element, way: Way::Out | Way::InOut, count, .. } => {
                let bytes = c_bytes(at, element.is_some(), *count);
                let seed = pattern(case, at);
                writeln!(text, "    if (a{at}) fill(a{at}, {bytes}, {seed});")?;
            }
            Kind::Text { mutable: true, .. } => writeln!(text, "    if (a{at}) a{at}[0] = 0;")?,
            _ => {}
        }
    }
    for (at, param) in case.params.iter().enumerate() {
        if let Kind::Single { ty, way: Way::Out | Way::InOut, leaves, .. } = &param.kind {
            let size = ty.host_size();
            writeln!(text, "    if (a{at}) memcpy(a{at}, &(uint64_t){{{leaves}ull}}, {size});")?;
        }
    }
    match case.result {
        Returned::Void => {}
        Returned::NoText => writeln!(text, "    return 0;")?,
        Returned::Inside { param, offset } => {
            writeln!(text, "    return (const char *)a{param} + {offset};")?;
        }
        Returned::Scalar { ty, value, garbage, .. } => {
            let value = returned(ty.host_size(), value, garbage);
            match (ty.class, garbage) {
                (Class::Float, None) => writeln!(text, "    return raw_float({value}u);")?,
                (Class::Float, Some(_)) | (Class::Double, _) => {
                    writeln!(text, "    return raw_double({value}ull);")?;
                }
                _ => writeln!(text, "    return {value}ull;")?,
            }
        }
    }
    writeln!(text, "}}")
}

fn returned(size: usize, value: u64, garbage: Option<u64>) -> u64 {
    if size == 8 {
        return value;
    }
    let width = 8 * u32::try_from(size).expect("at most 8");
    let low = value & ((1 << width) - 1);
    garbage.map_or(low, |garbage| low | garbage << width)
}

fn c_bytes(at: usize, has_type: bool, count: Count) -> String {
    let count = match count {
        Count::Constant(n) => n.to_string(),
        Count::Param(of) => format!("(size_t)a{of}"),
        Count::Cell(of) => format!("(size_t)*a{of}"),
        Count::Linear(of, times, plus) => format!("((size_t)a{of} * {times} + {plus})"),
    };
    if has_type { format!("{count} * sizeof *a{at}") } else { count }
}

/// The guest of a batch: for each function an export `c0`, `c1`, ... that calls it once.
pub fn guest(batch: &Batch) -> String {
    let mut text = String::from("(module\n");
    for case in &batch.cases {
        import(&mut text, batch, case).expect("a string takes everything");
    }
    let index = if batch.wide { "i64" } else { "i32" };
    // Results that are strings ask for an allocator; here they are always inside the memory.
    writeln!(
        text,
        "(memory (export \"memory\") {index} 1 1)
         (func (export \"malloc\") (param {index}) (result {index}) unreachable)
         (func (export \"free\") (param {index}) unreachable)"
    )
    .expect("a string takes everything");
    for case in &batch.cases {
        call(&mut text, case, index).expect("a string takes everything");
    }
    text.push(')');
    text
}

fn wasm(ty: Wasm) -> &'static str {
    match ty {
        Wasm::I32 => "i32",
        Wasm::I64 => "i64",
        Wasm::F32 => "f32",
        Wasm::F64 => "f64",
    }
}

/// The wasm type of a result.
pub fn result_type(case: &Case, wide: bool) -> Option<Wasm> {
    match case.result {
        Returned::Void => None,
        Returned::Scalar { wasm, .. } => Some(wasm),
        Returned::Inside { .. } | Returned::NoText => {
            Some(if wide { Wasm::I64 } else { Wasm::I32 })
        }
    }
}

fn import(text: &mut String, batch: &Batch, case: &Case) -> std::fmt::Result {
    let style = [Style::Full, Style::Brackets, Style::Bare][case.number % 3];
    let (module, name) = if case.by_prototype {
        // Both names of a library mean it.
        let module = if case.number.is_multiple_of(2) { library(batch) } else { module(batch) };
        (module, written(case, style))
    } else {
        (module(batch), format!("f{}", case.number))
    };
    write!(text, "(import \"{module}\" \"{name}\" (func $f{}", case.number)?;
    for param in &case.params {
        write!(text, " (param {})", wasm(param.wasm))?;
    }
    if let Some(result) = result_type(case, batch.wide) {
        write!(text, " (result {})", wasm(result))?;
    }
    writeln!(text, "))")
}

fn call(text: &mut String, case: &Case, index: &str) -> std::fmt::Result {
    writeln!(text, "(func (export \"c{}\")", case.number)?;
    let wide = index == "i64";
    let result = result_type(case, wide);
    if let Some(ty) = result {
        write!(text, "({}.store ({index}.const {RESULT}) ", wasm(ty))?;
    }
    write!(text, "(call $f{}", case.number)?;
    for (at, param) in case.params.iter().enumerate() {
        let ty = wasm(param.wasm);
        let offset = ARGUMENTS + 8 * u64::try_from(at).expect("a few parameters");
        let bits = param.bits;
        if !param.constant {
            write!(text, " ({ty}.load ({index}.const {offset}))")?;
            continue;
        }
        match param.wasm {
            Wasm::I32 | Wasm::I64 => write!(text, " ({ty}.const {bits})")?,
            Wasm::F32 => write!(text, " (f32.reinterpret_i32 (i32.const {bits}))")?,
            Wasm::F64 => write!(text, " (f64.reinterpret_i64 (i64.const {bits}))")?,
        }
    }
    text.push_str(if result.is_some() { ")))\n" } else { "))\n" });
    Ok(())
}
