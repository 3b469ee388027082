//! Formats: native code takes what they name, whatever was passed.
use crate::world::{INTERFACE, MEMORY, TIERS, World, calls, granted, not_linked};
use portcullis::plan::CallError;
use wasmtime::{Engine, Val, Val::I32};

/// Where the tests put formats, and where native code writes.
const FORMAT: i32 = 1024;
const TO: i32 = 4096;
const ROOM: i32 = 64;

/// `print` with several tails: export, tail, its wasm types.
const TAILS: [(&str, &str, &str); 6] = [
    ("int", "int", "i32"),
    ("ints", "int, unsigned int, int", "i32 i32 i32"),
    ("text", "const char *", "i32"),
    ("long", "long, long long", "i32 i64"),
    ("double", "double", "f64"),
    (
        "many",
        "int, double, const char *, int, double, long, int, int, int, double, const char *",
        "i32 f64 i32 i32 f64 i32 i32 i32 i32 f64 i32",
    ),
];

fn guest(tails: &[(&str, &str, &str)]) -> String {
    let (mut imports, mut functions) = (String::new(), String::new());
    for (name, tail, types) in tails {
        let ty = format!("(param i32 i32 i32 {types}) (result i32)");
        let count = 3 + types.split_whitespace().count();
        let arguments: String = (0..count).map(|at| format!(" (local.get {at})")).collect();
        imports += &format!(
            r#"(import "mock" "int print(char to[n], uint32_t n, const char *format, ..., {tail})"
                (func ${name} {ty}))"#
        );
        functions += &format!(r#"(func (export "{name}") {ty} (call ${name}{arguments}))"#);
    }
    format!(
        r#"(module {imports}
        (import "mock" "ordered" (func $ordered (param i32 i32) (result i32)))
        (memory (export "memory") 1 4) {functions}
        (func (export "ordered") (param i32 i32) (result i32)
            (call $ordered (local.get 0) (local.get 1))))"#
    )
}

/// On every tier, by a leaf function and by one that may call back: that one gets copies.
fn everywhere(test: impl Fn(&mut World)) {
    let calls_back = format!("{INTERFACE}\nvoid each(int (*callback)(int x));\n");
    for tier in TIERS {
        for interface in [INTERFACE, &calls_back] {
            let bridge = granted(&Engine::default(), interface).max_tier(tier).build();
            let bridge = bridge.unwrap_or_else(|error| panic!("{error}"));
            test(&mut World::with_guest(&bridge, tier, &guest(&TAILS)));
        }
    }
}

/// Writes a format and the arguments before it.
fn arguments(world: &mut World, format: &str, tail: &[Val]) -> Vec<Val> {
    world.write(FORMAT, format.as_bytes());
    world.write(FORMAT + i32::try_from(format.len()).expect("short"), &[0]);
    [&[I32(TO), I32(ROOM), I32(FORMAT)], tail].concat()
}

#[track_caller]
fn prints(world: &mut World, name: &str, format: &str, tail: &[Val], expected: &str) {
    let arguments = arguments(world, format, tail);
    let length = world.call(name, &arguments);
    let printed = world.read::<64>(TO);
    let end = printed.iter().position(|byte| *byte == 0).expect("it is terminated");
    let printed = String::from_utf8_lossy(&printed[..end]).into_owned();
    assert_eq!((printed.as_str(), length), (expected, expected.len() as i64), "{format}");
}

#[track_caller]
fn refused(world: &mut World, name: &str, arguments: &[Val], message: &str) {
    let before = calls();
    let error = world.try_call(name, arguments).expect_err("it must be refused");
    assert_eq!(calls(), before, "native code ran");
    let error: CallError = error.downcast().unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(error.to_string(), format!("mock.print: {message}"), "{}", world.tier);
    assert!(!error.called);
    world.works();
}

#[track_caller]
fn refused_format(world: &mut World, name: &str, format: &str, tail: &[Val], message: &str) {
    let arguments = arguments(world, format, tail);
    refused(world, name, &arguments, &format!("parameter 3 \"format\" (const char *): {message}"));
}

#[test]
fn what_fits_is_printed() {
    everywhere(|world| {
        prints(world, "int", "%d%%", &[I32(-7)], "-7%");
        prints(world, "int", "%5u|", &[I32(42)], "   42|");
        prints(world, "int", "no conversion at all", &[I32(42)], "no conversion at all");
        prints(world, "ints", "%*.*d", &[I32(-6), I32(3), I32(5)], "005   ");
        prints(world, "long", "%ld %#llx", &[I32(-5), Val::I64(255)], "-5 0xff");
        prints(world, "long", "%zu %jd", &[I32(5), Val::I64(-1)], "5 -1");
        prints(world, "double", "%.3f", &[Val::F64(1.5_f64.to_bits())], "1.500");
        world.write(2000, b"text\0");
        prints(world, "text", "[%6s]", &[I32(2000)], "[  text]");
        let double = |value: f64| Val::F64(value.to_bits());
        let many = [
            I32(1),
            double(2.0),
            I32(2000),
            I32(4),
            double(5.0),
            I32(-6),
            I32(7),
            I32(8),
            I32(9),
            double(10.0),
            I32(2001),
        ];
        prints(
            world,
            "many",
            "%d %g %s %i %g %ld %c%x%o %.1f %s",
            &many,
            "1 2 text 4 5 -6 \u{7}811 10.0 ext",
        );
    });
}

#[test]
fn what_does_not_fit_is_refused() {
    everywhere(|world| {
        for (name, format, tail, message) in [
            (
                "int",
                "x%n",
                I32(TO),
                "`%n` at byte 1 of the format would write to memory, which formats may not",
            ),
            (
                "int",
                "%p",
                I32(1),
                "`%p` at byte 0 of the format would tell a native address, which guests never see",
            ),
            (
                "int",
                "%s",
                I32(2000),
                "`%s` at byte 0 of the format takes a `const char *`, argument 4 is `int`: write `%d`",
            ),
            (
                "int",
                "value: %ld",
                I32(1),
                "`%ld` at byte 7 of the format takes an integer of 64 bits, argument 4 is `int`: write `%d`",
            ),
            (
                "int",
                "%lx",
                I32(1),
                "`%lx` at byte 0 of the format takes an integer of 64 bits, argument 4 is `int`: write `%x`",
            ),
            (
                "int",
                "%d and %.2f",
                I32(1),
                "`%.2f` at byte 7 of the format takes a `double`, and only 1 argument is passed behind `...`",
            ),
            (
                "text",
                "%d",
                I32(2000),
                "`%d` at byte 0 of the format takes an `int`, argument 4 is `const char *`: write `%s`",
            ),
            (
                "text",
                "%ls",
                I32(2000),
                "`%ls` at byte 0 of the format takes wide characters, which have another size here",
            ),
            (
                "text",
                "%*s",
                I32(2000),
                "`%*s` at byte 0 of the format takes for its `*` an `int`, argument 4 is `const char *`: pass an `int`",
            ),
            (
                "int",
                "%*d",
                I32(2),
                "`%*d` at byte 0 of the format takes an `int`, and only 1 argument is passed behind `...`",
            ),
            (
                "int",
                "%1$d",
                I32(2),
                "`%1$` at byte 0 of the format takes its argument by position: leave out the `$`",
            ),
            ("int", "%m", I32(2), "`%m` at byte 0 of the format is no conversion of C"),
            ("int", "%\u{1b}", I32(2), "`%\\x1b` at byte 0 of the format is no conversion of C"),
            (
                "int",
                "50%",
                I32(2),
                "`%` at byte 2 of the format is not complete; a percent sign is written `%%`",
            ),
            (
                "int",
                "%99999d",
                I32(2),
                "`%99999d` at byte 0 of the format asks for more than 4095 characters",
            ),
        ] {
            refused_format(world, name, format, &[tail], message);
        }
        refused_format(
            world,
            "ints",
            "%.*d",
            &[I32(i32::MAX), I32(1), I32(1)],
            "`%.*d` at byte 0 of the format gets 2147483647 for its `*` from argument 4: 4095 characters are the most",
        );
        refused_format(
            world,
            "double",
            "%Lf",
            &[Val::F64(0)],
            "`%Lf` at byte 0 of the format takes a `long double`, argument 4 is `double`: write `%f`",
        );
    });
}

#[test]
fn the_strings_are_checked_as_ever() {
    everywhere(|world| {
        let with = arguments(world, "%s", &[I32(MEMORY + 5)]);
        let message =
            "parameter 4 (const char *): 1 byte at 0x10005 reaches past the memory of 65536 bytes";
        refused(world, "text", &with, message);
        let with = arguments(world, "%s", &[I32(0)]);
        refused(
            world,
            "text",
            &with,
            "parameter 4 (const char *): the pointer is 0, and NULL is not allowed here",
        );
        let format = "parameter 3 \"format\" (const char *)";
        let null = [I32(TO), I32(ROOM), I32(0), I32(1)];
        refused(
            world,
            "int",
            &null,
            &format!("{format}: the pointer is 0, and NULL is not allowed here"),
        );
        world.write(MEMORY - 2, b"%d");
        let unterminated = [I32(TO), I32(ROOM), I32(MEMORY - 2), I32(1)];
        let message =
            "the string at 0xfffe has no terminator before the end of the memory of 65536 bytes";
        refused(world, "int", &unterminated, &format!("{format}: {message}"));
    });
}

/// What was checked is what native code reads, although it writes there.
#[test]
fn a_format_in_its_own_output_is_a_copy() {
    everywhere(|world| {
        // Read in place, the format would become `%s%s%s...` as it is worked on.
        world.write(FORMAT, b"%1d%%s%%s%%s%%s\0");
        for to in [FORMAT, FORMAT - 1, FORMAT + 1] {
            world.write(FORMAT, b"%1d%%s%%s%%s%%s\0");
            assert_eq!(world.call("int", &[I32(to), I32(ROOM), I32(FORMAT), I32(7)]), 9);
            assert_eq!(world.read::<10>(to), *b"7%s%s%s%s\0");
        }
        // A string that is its own output.
        let with = arguments(world, "<%s>", &[I32(TO)]);
        world.write(TO, b"abc\0");
        assert_eq!(world.call("text", &with), 5);
        assert_eq!(world.read::<6>(TO), *b"<abc>\0");
    });
}

#[test]
fn tails_that_no_format_can_ask_for_are_not_linked() {
    let bridge = granted(&Engine::default(), INTERFACE).build().expect("it is granted");
    for (tail, types, message) in [
        ("float", "f32", "C passes no `float` after `...`"),
        ("short", "i32", "C passes no `short` after `...`"),
        ("bool", "i32", "C passes no `bool` after `...`"),
        ("char *", "i32", "no conversion of a format takes a `char *`"),
        ("void *__cookie", "i32", "no conversion of a format takes a `void *__cookie`"),
        ("uint32_t *", "i32", "no conversion of a format takes a `uint32_t *`"),
        ("__int128", "i64 i64", "no conversion of a format takes a `__int128`"),
        ("struct { int a; }", "i32", "no conversion of a format takes a `struct"),
        ("const char *_Nullable", "i32", "`_Nullable` says nothing of an argument"),
        ("const char *__counted_by(4)", "i32", "`__counted_by(4)` says nothing of an argument"),
        ("int __range(0, 4)", "i32", "`__range(0, 4)` says nothing of an argument"),
    ] {
        let error = not_linked(&bridge, &guest(&[("f", tail, types)])).to_string();
        assert!(error.contains(message), "{tail}: {error}");
        // The caret is under it, in the guest's text.
        assert!(error.contains("import name") && error.contains("^"), "{tail}: {error}");
    }
}

#[test]
fn a_tail_of_too_many_is_not_linked() {
    let bridge = granted(&Engine::default(), INTERFACE).build().expect("it is granted");
    let with = |count: usize| {
        let (tail, types) = (vec!["int"; count].join(", "), vec!["i32"; count].join(" "));
        guest(&[("f", &tail, &types)])
    };
    let error = not_linked(&bridge, &with(253)).to_string();
    assert!(error.contains("more than 255 parameters"), "{error}");
    let mut world = World::with_guest(&bridge, TIERS[0], &with(252));
    let mut all = arguments(&mut world, "%d", &[I32(1)]);
    all.resize(255, I32(2));
    assert_eq!(world.call("f", &all), 1);
}

#[test]
fn a_tail_has_to_be_named() {
    let bridge = granted(&Engine::default(), INTERFACE).build().expect("it is granted");
    let import = |name: &str| {
        format!(
            r#"(module (import "mock" "{name}" (func (param i32 i32 i32) (result i32))) (memory (export "memory") 1))"#
        )
    };
    let error = not_linked(&bridge, &import("print")).to_string();
    assert!(error.contains("names the types behind `...`"), "{error}");
    assert!(error.contains("..., double, int, const char *)"), "{error}");
    let untyped = "int print(char to[n], uint32_t n, const char *format, ...)";
    let error = not_linked(&bridge, &import(untyped)).to_string();
    assert!(error.contains("the types of the arguments behind `...` are not known"), "{error}");
    assert!(error.contains("`..., double, int`"), "{error}");
    let none = "int print(char to[n], uint32_t n, const char *format)";
    let error = not_linked(&bridge, &import(none)).to_string();
    assert!(error.contains("no `...`, the grant has it"), "{error}");
}
