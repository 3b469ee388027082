//! Random functions in C, as prototypes and as bodies, and arguments for them.
use crate::rng::Rng;
use std::fmt::Write as _;
use wasmtime::Val;

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of that C type and that wasm type.
    Scalar(&'static str, &'static str),
    /// Elements of that type and size: as many as the parameter of that number says, or always so many.
    Buffer {
        of: &'static str,
        size: i64,
        count: Count,
        writable: bool,
    },
    Handle {
        null: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Of(usize),
    Always(i64),
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub params: Vec<Kind>,
    pub result: &'static str,
}

pub const SCALARS: [(&str, &str); 13] = [
    ("signed char", "i32"),
    ("unsigned char", "i32"),
    ("short", "i32"),
    ("unsigned short", "i32"),
    ("int", "i32"),
    ("unsigned", "i32"),
    ("long", "i32"),
    ("size_t", "i32"),
    ("long long", "i64"),
    ("uint64_t", "i64"),
    ("float", "f32"),
    ("double", "f64"),
    ("int32_t", "i32"),
];
pub const ELEMENTS: [(&str, i64); 7] = [
    ("uint8_t", 1),
    ("int16_t", 2),
    ("int", 4),
    ("float", 4),
    ("int64_t", 8),
    ("double", 8),
    ("struct three", 12),
];
pub const COUNTS: [&str; 4] = ["unsigned", "size_t", "int", "int32_t"];
pub const RESULTS: [(&str, &str); 7] = [
    ("void", ""),
    ("int", "i32"),
    ("unsigned", "i32"),
    ("long long", "i64"),
    ("uint64_t", "i64"),
    ("float", "f32"),
    ("double", "f64"),
];

impl Function {
    pub fn random(rng: &mut Rng, number: usize) -> Function {
        let mut params: Vec<Kind> = Vec::new();
        let handle = rng.chance(1, 3);
        if handle {
            params.push(Kind::Handle { null: rng.chance(1, 3) });
        }
        for _ in 0..rng.below(3) {
            let (of, size) = *rng.pick(&ELEMENTS);
            let writable = rng.chance(1, 4);
            let counted = params
                .iter()
                .position(|kind| matches!(kind, Kind::Scalar(ty, "i32") if COUNTS.contains(ty)));
            let count = match counted {
                Some(at) if rng.chance(1, 2) => Count::Of(at),
                _ if rng.chance(1, 4) => Count::Always(1 + rng.below(20) as i64),
                _ => {
                    let ty: &&'static str = rng.pick(&COUNTS);
                    params.push(Kind::Scalar(ty, "i32"));
                    Count::Of(params.len() - 1)
                }
            };
            params.push(Kind::Buffer { of, size, count, writable });
        }
        // Counts may stand behind what they count.
        if rng.chance(1, 2) && !params.is_empty() {
            let last = params.len() - 1;
            params.swap(0, last);
            for kind in &mut params {
                if let Kind::Buffer { count: Count::Of(at), .. } = kind {
                    *at = if *at == 0 {
                        last
                    } else if *at == last {
                        0
                    } else {
                        *at
                    };
                }
            }
        }
        let more = if handle { rng.below(4) } else { rng.below(9) };
        for _ in 0..more {
            let (c, wasm) = *rng.pick(&SCALARS);
            params.push(Kind::Scalar(c, wasm));
        }
        Function { name: format!("f{number}"), params, result: rng.pick(&RESULTS).0 }
    }

    pub fn declaration(&self) -> String {
        let params = self.params.iter().enumerate().map(|(at, kind)| match *kind {
            Kind::Scalar(ty, _) => format!("{ty} p{at}"),
            Kind::Buffer { of, count, writable, .. } => {
                let is = if writable { "" } else { "const " };
                let way = if writable { "_Inout_ " } else { "" };
                let count = match count {
                    Count::Of(of) => format!("p{of}"),
                    Count::Always(n) => n.to_string(),
                };
                format!("{is}{of} *{way}__counted_by({count}) p{at}")
            }
            Kind::Handle { null } => {
                format!("thing *{}p{at}", if null { "_Nullable " } else { "" })
            }
        });
        let params: Vec<String> = params.collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        format!("{} {}({params}) __leaf;", self.result, self.name)
    }

    /// C that sees every bit of what it gets, and writes to all that it may write to.
    pub fn definition(&self) -> String {
        let mut body = String::from("    begin();\n");
        for (at, kind) in self.params.iter().enumerate() {
            let _ = match kind {
                Kind::Buffer { size, count, .. } => {
                    let count = match count {
                        Count::Of(of) => format!("(size_t)p{of}"),
                        Count::Always(n) => n.to_string(),
                    };
                    writeln!(body, "    where(p{at}); see(p{at}, {count} * {size});")
                }
                Kind::Scalar(..) | Kind::Handle { .. } => {
                    writeln!(body, "    see(&p{at}, sizeof p{at});")
                }
            };
        }
        for (at, kind) in self.params.iter().enumerate() {
            if let Kind::Buffer { size, count, writable: true, .. } = kind {
                let count = match count {
                    Count::Of(of) => format!("(size_t)p{of}"),
                    Count::Always(n) => n.to_string(),
                };
                let _ = writeln!(body, "    leave(p{at}, {count} * {size});");
            }
        }
        // Of narrow arguments, compilers rely on 32 bits.
        let params = self.params.iter().enumerate().map(|(at, kind)| match *kind {
            Kind::Scalar("signed char" | "short", _) => format!("int p{at}"),
            Kind::Scalar("unsigned char" | "unsigned short", _) => format!("unsigned p{at}"),
            Kind::Scalar(ty, _) => format!("{ty} p{at}"),
            Kind::Buffer { of, writable, .. } => {
                format!("{}{of} *p{at}", if writable { "" } else { "const " })
            }
            Kind::Handle { .. } => format!("thing *p{at}"),
        });
        let params: Vec<String> = params.collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let result = match self.result {
            "void" => String::new(),
            "float" | "double" => format!("    return ({})(int)seen;\n", self.result),
            other => format!("    return ({other})seen;\n"),
        };
        format!("{} {}({params}) {{\n{body}{result}}}\n", self.result, self.name)
    }

    pub fn wasm(&self) -> (String, &'static str) {
        let params = self.params.iter().map(|kind| match *kind {
            Kind::Scalar(_, wasm) => wasm,
            Kind::Buffer { .. } | Kind::Handle { .. } => "i32",
        });
        let result = RESULTS.iter().find(|(c, _)| *c == self.result).map_or("", |found| found.1);
        (params.collect::<Vec<_>>().join(" "), result)
    }
}

pub const HEAD: &str =
    "struct three { int a, b, c; };\ntypedef struct thing thing;\ntypedef struct other other;\n";
pub const MAKERS: &str =
    "thing *__borrowed make_thing(int id) __leaf;\nother *__borrowed make_other(int id) __leaf;\n";
pub const SOURCE: &str = r"
#include <stddef.h>
#include <stdint.h>
static _Thread_local uint64_t seen; static _Thread_local unsigned calls;
static void see(const void *p, size_t n) {
    for (size_t i = 0; i < n; i++) seen = (seen ^ ((const uint8_t *)p)[i]) * 0x100000001b3;
}
/* Memories begin with a page. */
static void where(const void *p) { size_t at = p ? (size_t)p & 4095 : 4096; see(&at, sizeof at); }
static void begin(void) { calls++; seen = 0xcbf29ce484222325; }
static void leave(void *p, size_t n) {
    for (size_t i = 0; i < n; i++) ((uint8_t *)p)[i] ^= (uint8_t)(seen >> i % 8 * 8) + (uint8_t)i;
}
unsigned take_calls(void) { unsigned now = calls; calls = 0; return now; }
uint64_t take_seen(void) { uint64_t now = seen; seen = 0; return now; }
void *make_thing(int id) { return (void *)(0x1000 + (size_t)id * 16); }
void *make_other(int id) { return (void *)(0x9000 + (size_t)id * 16); }
";

/// Numbers at which something changes.
const EDGES: [i64; 20] = [
    0,
    1,
    2,
    3,
    7,
    8,
    127,
    128,
    255,
    256,
    -1,
    -2,
    -128,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    -0x8000_0000,
    0x4000_0001,
];

fn i32_of(value: i64) -> Val {
    Val::I32(value as u32 as i32)
}

/// Arguments, most of which are good, in a memory of that size.
pub fn arguments(rng: &mut Rng, function: &Function, size: i64, handles: &[i32]) -> Vec<Val> {
    let mut values: Vec<Option<i64>> = vec![None; function.params.len()];
    let mut pointers: Vec<(usize, i64)> = Vec::new();
    for (at, kind) in function.params.iter().enumerate() {
        let Kind::Buffer { size: element, count, .. } = *kind else { continue };
        let elements = match count {
            Count::Always(count) => count,
            Count::Of(of) => *values[of].get_or_insert_with(|| match rng.below(8) {
                0 => *rng.pick(&EDGES),
                1 => size / element + rng.below(3) as i64 - 1,
                // Products that wrap at 2^32.
                2 => (1 << 32) / element + rng.below(3) as i64 - 1,
                _ => rng.below(40) as i64,
            }),
        };
        let bytes = elements.wrapping_mul(element);
        let start = match rng.below(10) {
            0 => *rng.pick(&EDGES),
            1 => size - bytes + rng.below(3) as i64 - 1,
            2 => size + rng.below(3) as i64 - 1,
            3 => 0,
            4 => (size - bytes) & !15,
            5 => rng.below(65536) as i64,
            _ => 16 * rng.below(4000) as i64,
        };
        pointers.push((at, start));
    }
    for (at, start) in pointers {
        values[at] = Some(start);
    }
    let all = function.params.iter().zip(values).map(|(kind, value)| {
        let any = match value {
            Some(value) => value,
            None if rng.chance(1, 2) => *rng.pick(&EDGES),
            None => rng.next().cast_signed(),
        };
        match *kind {
            Kind::Scalar(_, "i64") => Val::I64(any),
            Kind::Scalar(_, "f32") => Val::F32(any as u32),
            Kind::Scalar(_, "f64") => Val::F64(any.cast_unsigned()),
            Kind::Scalar(..) | Kind::Buffer { .. } => i32_of(any),
            Kind::Handle { .. } => {
                let handle = *rng.pick(handles);
                Val::I32(match rng.below(8) {
                    0 => 0,
                    1 => handle ^ 1 << rng.below(32),
                    2 => any as i32,
                    _ => handle,
                })
            }
        }
    });
    all.collect()
}
