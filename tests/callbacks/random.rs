//! Random types of callbacks: C that gcc compiles passes values of every scalar type to the guest, whose
//! function checks each of them and returns one that C checks.
#![expect(unsafe_code, reason = "grants a C library")]
use crate::library::{Guest, text};
use crate::native;
use crate::rng::Rng;
use portcullis::host::Bridge;
use std::fmt::Write as _;
use tempfile::TempDir;
use wasmtime::Engine;

const SIGNATURES: usize = 5000;
/// So many are in one guest.
const BATCH: usize = 500;

/// A C type, its wasm type, and how a value of it is made of a number.
#[derive(Clone, Copy)]
struct Kind {
    c: &'static str,
    wasm: &'static str,
    bits: u32,
    signed: bool,
}

const fn kind(c: &'static str, wasm: &'static str, bits: u32, signed: bool) -> Kind {
    Kind { c, wasm, bits, signed }
}

const KINDS: [Kind; 18] = [
    kind("_Bool", "i32", 1, false),
    kind("char", "i32", 8, true),
    kind("signed char", "i32", 8, true),
    kind("unsigned char", "i32", 8, false),
    kind("short", "i32", 16, true),
    kind("unsigned short", "i32", 16, false),
    kind("int", "i32", 32, true),
    kind("unsigned int", "i32", 32, false),
    // What does not fit 32 bits would not reach the guest.
    kind("long", "i32", 32, true),
    kind("unsigned long", "i32", 32, false),
    kind("long long", "i64", 64, true),
    kind("unsigned long long", "i64", 64, false),
    kind("float", "f32", 20, true),
    kind("double", "f64", 50, true),
    // A struct of one scalar is that scalar in wasm, and a register of its own class in C.
    kind("struct one", "f64", 50, true),
    // What pointers lead to is looked at by the guest; only arguments are such.
    kind("const struct deep *", "i32", 32, true),
    kind("const long *__null_terminated", "i32", 31, false),
    kind("struct one *", "i32", 50, true),
];

const DEEP: &str = "struct deep { long v; unsigned char n; const long long *__counted_by(n) at; const char *text; struct one *_Nullable one; };";

/// How many of the kinds are results too.
const RESULTS: usize = 15;

impl Kind {
    fn value(self, rng: &mut Rng) -> i64 {
        let raw = match rng.below(4) {
            0 => u64::MAX,
            1 => 1 << (self.bits - 1),
            2 => (1 << (self.bits - 1)) - 1,
            _ => rng.next(),
        };
        let unused = 64 - self.bits;
        if self.signed {
            (raw << unused).cast_signed() >> unused
        } else {
            ((raw << unused) >> unused).cast_signed()
        }
    }

    /// The value in C.
    fn literal(self, value: i64) -> String {
        match self.c {
            "struct one" => format!("(struct one){{ (double){value}LL }}"),
            "struct one *" => format!("&(struct one){{ (double){value}LL }}"),
            "const struct deep *" => format!(
                "&(struct deep){{ {value}LL, 3, (long long[]){{ 0, 1, {value}LL * 3 }}, \"text\", &(struct one){{ (double){value}LL }} }}"
            ),
            c if c.starts_with("const long") => format!("(long[]){{ 1, {}LL, 0 }}", value.max(1)),
            c if value == i64::MIN => format!("({c})(-9223372036854775807LL - 1)"),
            c if self.signed => format!("({c}){value}LL"),
            c => format!("({c}){}ULL", value.cast_unsigned()),
        }
    }

    /// Wasm that traps unless the argument is that value.
    fn check(self, position: usize, value: i64) -> String {
        let differs = |wasm: &str, load: &str, constant: &str| {
            format!("(if ({wasm}.ne {load} ({wasm}.const {constant})) (then unreachable))\n")
        };
        let at = |wasm: &str, offset: u32| {
            format!("({wasm}.load offset={offset} (local.get {position}))")
        };
        match self.c {
            "struct one *" => differs("f64", &at("f64", 0), &value.to_string()),
            "const struct deep *" => {
                differs("i32", &at("i32", 0), &(value as i32).to_string())
                    + &differs(
                        "i32",
                        &format!("(i32.load8_u offset=4 (local.get {position}))"),
                        "3",
                    )
                    + &differs(
                        "i64",
                        &format!("(i64.load offset=16 {})", at("i32", 8)),
                        &(value * 3).to_string(),
                    )
                    + &differs("i32", &format!("(i32.load {})", at("i32", 12)), "0x74786574")
                    + &differs("f64", &format!("(f64.load {})", at("i32", 16)), &value.to_string())
            }
            c if c.starts_with("const long") => {
                differs("i32", &at("i32", 0), "1")
                    + &differs("i32", &at("i32", 4), &value.max(1).to_string())
                    + &differs("i32", &at("i32", 8), "0")
            }
            _ => {
                let constant = self.constant(value);
                let wasm = self.wasm;
                format!("(if ({wasm}.ne (local.get {position}) {constant}) (then unreachable))\n")
            }
        }
    }

    /// The type as gcc is told.
    fn plain(self) -> String {
        self.c.replace("__null_terminated", "")
    }

    /// The value in wasm.
    fn constant(self, value: i64) -> String {
        match self.wasm {
            "i32" => format!("(i32.const {})", value as i32),
            "i64" => format!("(i64.const {value})"),
            wasm => format!("({wasm}.const {value})"),
        }
    }
}

#[test]
fn random_callbacks_get_what_c_passes() {
    let mut rng = Rng::new(crate::rng::seed(4711));
    let folder = TempDir::new().expect("a temporary folder");
    let plain = DEEP.replace("__counted_by(n)", "").replace("_Nullable", "");
    let mut source = format!("struct one {{ double d; }};\n{plain}\n");
    let mut interface = String::new();
    let mut batches = Vec::new();
    for first in (0..SIGNATURES).step_by(BATCH) {
        let (mut imports, mut functions, mut elements) = (Vec::new(), String::new(), String::new());
        for number in first..first + BATCH {
            let params: Vec<Kind> = (0..rng.below(14)).map(|_| *rng.pick(&KINDS)).collect();
            let result = *rng.pick(&KINDS[..RESULTS]);
            let values: Vec<i64> = params.iter().map(|kind| kind.value(&mut rng)).collect();
            let expected = result.value(&mut rng);
            let list = |types: Vec<String>| {
                if types.is_empty() { "void".to_owned() } else { types.join(", ") }
            };
            let plain = list(params.iter().map(|kind| kind.plain()).collect());
            let types = list(params.iter().map(|kind| kind.c.to_owned()).collect());
            let arguments: Vec<String> =
                params.iter().zip(&values).map(|(kind, value)| kind.literal(*value)).collect();
            let function = format!("{} (*f)({types})", result.c);
            let native = format!("{} (*f)({plain})", result.c);
            let member = if result.c == "struct one" { ".d" } else { "" };
            writeln!(
                source,
                "int call{number}({native}) {{ return f({}){member} == ({}){member}; }}",
                arguments.join(", "),
                result.literal(expected)
            )
            .expect("a string");
            writeln!(interface, "int call{number}({function});").expect("a string");
            imports.push(format!("call{number}"));
            write!(functions, "(func $f{number}").expect("a string");
            for kind in &params {
                write!(functions, " (param {})", kind.wasm).expect("a string");
            }
            writeln!(functions, " (result {})", result.wasm).expect("a string");
            for (position, (kind, value)) in params.iter().zip(&values).enumerate() {
                functions += &kind.check(position, *value);
            }
            // Bits above the type are not C's.
            let returned = match (result.wasm, result.bits) {
                ("i32", 8 | 16) => expected ^ (rng.next() << result.bits).cast_signed(),
                _ => expected,
            };
            writeln!(functions, "{})", result.constant(returned)).expect("a string");
            write!(elements, "$f{number} ").expect("a string");
            writeln!(
                functions,
                "(func (export \"go{number}\") (result i32) (call $call{number} (i32.const {})))",
                number - first + 1
            )
            .expect("a string");
        }
        batches.push((first, imports, functions, elements));
    }
    let library = native::compile(folder.path(), "librandom.so", &source, &["-O1"]);
    let interface = format!(
        "#include \"portcullis.h\"\n#pragma portcullis library \"{}\" module \"cb\"\nstruct one {{ double d; }};\n{DEEP}\n{interface}",
        library.display()
    );
    let engine = Engine::default();
    // SAFETY: the library was compiled for these prototypes.
    let builder = unsafe {
        Bridge::builder(&engine).max_tier(crate::MOST).grant_interface("random.h", &interface)
    };
    let bridge = builder.unwrap_or_else(|error| panic!("{error}")).build().expect("valid");
    let mut called = 0;
    for (first, imports, functions, elements) in batches {
        let imports: Vec<(&str, &str)> =
            imports.iter().map(|name| (&**name, "(param i32) (result i32)")).collect();
        let guest = text(&imports, &elements, &functions)
            .replace("64 funcref", &format!("{} funcref", BATCH + 1))
            .replace("\"memory\") 2)", "\"memory\") 32)");
        let mut guest = Guest::new(&bridge, &guest);
        for number in first..first + BATCH {
            let same: i32 = guest.run(&format!("go{number}"), ());
            assert_eq!(same, 1, "the result of call{number}");
            called += 1;
        }
    }
    assert_eq!(called, SIGNATURES);
}
