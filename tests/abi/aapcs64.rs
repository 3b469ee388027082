//! Assignments for 64-bit Arm, compared with what clang's code for such a machine does.
//!
//! Nothing of it runs here. Each function hands the pieces of its parameters, or of a result that
//! it was given, to an `asm` statement, one a line; the register that clang names there, or the
//! load that filled it, is where the piece came from.

use crate::c_types::{self, Generator, Menu, declare};
use crate::hollow::{Hollow, has_no_elements, holds};
use portcullis::plan::abi::{Abi, AbiError, Assignment, Location, Piece, Value, assign, describe};
use portcullis::plan::layout::Target;
use portcullis::signature::{Function, Param, Record, Scope, Span, Type, TypeKind, Variadic};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;

const MENU: Menu = Menu {
    bit_fields: true,
    unnamed_bit_fields: false,
    attributes: true,
    atomics: false,
    wide: true,
    fields: 4,
    hollow: true,
    pointers: true,
};
const SIGNATURES: usize = 400;
const RECORDS: usize = 200;
const TRIPLE: &str = "--target=aarch64-linux-gnu";

/// The `asm` statement that names where a piece is: the whole of it when it has a register, its
/// first bytes when it is on the stack.
fn marker(piece: &Piece, value: &str) -> String {
    let size = 1 << piece.size.min(16).ilog2();
    let (of, constraint) = match (piece.location, size) {
        (Location::Vector(_), 4) => ("float", "w"),
        (Location::Vector(_), 8) => ("double", "w"),
        (Location::Vector(_), _) => ("vector_byte_16", "w"),
        (Location::Integer(_), 8) => ("unsigned long", "r"),
        (_, 1) => ("unsigned char", "r"),
        (_, 2) => ("unsigned short", "r"),
        (_, _) => ("unsigned", "r"),
    };
    format!(
        "{{ {of} p; __builtin_memcpy(&p, (char *)&{value} + {}, sizeof p); \
         __asm__ volatile(\"// piece %0\" :: \"{constraint}\"(p)); }}\n",
        piece.offset
    )
}

fn markers(value: &Value, name: &str) -> String {
    match value.indirect {
        Some(_) => format!("__asm__ volatile(\"// piece %0\" :: \"r\"(&{name}));\n"),
        None => value.pieces.iter().map(|piece| marker(piece, name)).collect(),
    }
}

/// A function a parameter, and one that receives the result.
fn code(index: usize, function: &Function, assignment: &Assignment) -> String {
    let names = (0..).map(|number| format!("a{number}"));
    let params: Vec<String> =
        function.params.iter().zip(names).map(|(param, name)| declare(&param.ty, &name)).collect();
    let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
    let mut text = String::new();
    for (number, value) in assignment.params.iter().enumerate() {
        let body = markers(value, &format!("a{number}"));
        let _ = writeln!(text, "void take_{index}_{number}({params}) {{\n{body}}}");
    }
    if function.result.kind != TypeKind::Void {
        let make = declare(&function.result, &format!("make_{index}(void)"));
        let result = declare(&function.result, "r");
        let body = markers(&assignment.result, "r");
        let _ = writeln!(
            text,
            "{make};\nvoid receive_{index}(void) {{\n{result} = make_{index}();\n{body}}}"
        );
    }
    text
}

/// Where a compiled function has its pieces from, in order, and whether it hands an address to
/// what it calls in `x8`.
fn origins(lines: &[&str]) -> (Vec<Location>, bool) {
    let mut origin: HashMap<String, Location> = HashMap::new();
    let mut found = Vec::new();
    let mut address_in_x8 = false;
    for line in lines {
        let words: Vec<&str> =
            line.split([' ', '\t', ',', '[', ']', '#']).filter(|word| !word.is_empty()).collect();
        let offset = |words: &[&str]| words.first().map_or(0, |w| w.parse().expect("a number"));
        match words.as_slice() {
            ["//", "piece", register] => {
                let named = Location::clone(origin.get(&file(register)).unwrap_or(&own(register)));
                found.push(named);
            }
            ["ldp", first, second, "sp", rest @ ..] => {
                let width = match first.as_bytes()[0] {
                    b'w' | b's' => 4,
                    b'q' => 16,
                    _ => 8,
                };
                let offset = offset(rest);
                origin.insert(file(first), Location::Stack(offset));
                origin.insert(file(second), Location::Stack(offset + width));
            }
            [load, first, "sp", rest @ ..] if load.starts_with("ld") => {
                origin.insert(file(first), Location::Stack(offset(rest)));
            }
            ["mov" | "add", register, "sp", rest @ ..] => {
                origin.insert(file(register), Location::Stack(offset(rest)));
                address_in_x8 |= *register == "x8";
            }
            ["and" | "mov" | "fmov", register, source, ..] => {
                let from = *origin.get(&file(source)).unwrap_or(&own(source));
                origin.insert(file(register), from);
            }
            ["bl", _] => origin.clear(),
            _ => {}
        }
    }
    (found, address_in_x8)
}

/// A register's full name: `w3` is the low half of `x3`, `s3`, `d3` and `q3` are parts of `v3`.
fn file(register: &str) -> String {
    let (letter, number) = register.split_at(1);
    let number = number.split('.').next().unwrap_or_default();
    format!("{}{number}", if matches!(letter, "w" | "x") { "x" } else { "v" })
}

/// The location that a register is.
fn own(register: &str) -> Location {
    let full = file(register);
    match full.split_at(1) {
        ("x", number) => Location::Integer(number.parse().unwrap_or(u8::MAX)),
        (_, number) => Location::Vector(number.parse().unwrap_or(u8::MAX)),
    }
}

/// Whether GCC passes it in general-purpose registers and clang perhaps not: an array of no elements
/// in a record of its own is a member to GCC, to clang it is nothing. GCC is who is followed.
fn differs_from_clang(function: &Function) -> bool {
    let is_record = |ty: &Type| {
        matches!(ty.kind, TypeKind::Record(_)) && c_types::size(ty, Target::Host(Abi::Aapcs64)) == 0
    };
    let inner = |ty: &Type| is_record(ty) && holds(ty, &has_no_elements);
    let differs = |of: &Type| match &of.kind {
        TypeKind::Record(Record { body: Some(body), .. }) => {
            body.fields.iter().any(|field| holds(&field.ty, &inner))
        }
        _ => false,
    };
    c_types::types(function).into_iter().chain([&function.result]).any(differs)
}

fn expected(value: &Value) -> Vec<Location> {
    match value.indirect {
        Some(location) => vec![location],
        None => value.pieces.iter().map(|piece| piece.location).collect(),
    }
}

fn signature(generator: &mut Generator) -> Function {
    let any = |generator: &mut Generator| loop {
        // The code for a `bool` masks it, wherever it came from.
        let of = c_types::value(generator);
        if of.kind != TypeKind::Bool {
            return of;
        }
    };
    let result = any(generator);
    let most = generator.rng.pick(&[4, 8, 8, 20]);
    let count = generator.rng.below(most);
    let param = |of| Param { name: None, ty: of, span: Span::default() };
    let params = (0..count).map(|_| param(any(generator))).collect();
    Function { result, params, variadic: Variadic::No }
}

#[test]
fn functions_compiled_by_clang_take_everything_from_where_we_say() {
    let mut probe = Command::new("clang");
    probe.args([TRIPLE, "-x", "c", "-S", "-o", "/dev/null", "/dev/null"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: {SIGNATURES} (clang for {TRIPLE} is not on this machine)");
        return;
    }
    let mut generator = Generator::new(c_types::seed(), MENU);
    for _ in 0..RECORDS {
        generator.record();
    }
    let mut cases = Vec::new();
    let (mut refused, mut skipped) = (0, 0);
    let mut hollow = Hollow::default();
    while cases.len() < SIGNATURES {
        let function = signature(&mut generator);
        match assign(&function, &Scope::default(), Abi::Aapcs64) {
            Ok(_) if differs_from_clang(&function) => skipped += 1,
            Ok(assignment) => {
                c_types::types(&function).into_iter().for_each(|of| hollow.count(of));
                cases.push((function, assignment));
            }
            Err(AbiError::Disputed { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    let mut program = generator.definitions();
    for (index, (function, assignment)) in cases.iter().enumerate() {
        program.push_str(&code(index, function, assignment));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("calls.c");
    std::fs::write(&source, &program).expect("writes");
    let output = Command::new("clang")
        .args([TRIPLE, "-std=gnu17", "-w", "-O1", "-S", "-o", "-"])
        .arg(&source)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let assembly = String::from_utf8(output.stdout).expect("text");
    let mut functions: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut current = "";
    for line in assembly.lines() {
        match line.split_once(':') {
            Some((label, _)) if label.starts_with(['t', 'r']) => current = label,
            _ => functions.entry(current).or_default().push(line),
        }
    }

    let (mut compared, mut wrong, mut unreadable) = (0, 0, 0);
    for (index, (function, assignment)) in cases.iter().enumerate() {
        let mut faults = Vec::new();
        for (number, value) in assignment.params.iter().enumerate() {
            let lines = &functions[&*format!("take_{index}_{number}")];
            if lines.iter().any(|line| line.trim().starts_with("sub\tsp, sp,")) {
                // It goes through a frame of its own to get at the first bytes of a vector.
                unreadable += 1;
                continue;
            }
            let (found, _) = origins(lines);
            compared += 1;
            if found != expected(value) {
                faults.push(format!("parameter {}: {found:?}", number + 1));
            }
        }
        let result = &assignment.result;
        let (found, address_in_x8) = origins(&functions[&*format!("receive_{index}")]);
        compared += 1;
        if address_in_x8 != result.indirect.is_some()
            || (result.indirect.is_none() && found != expected(result))
        {
            faults.push(format!("result: {found:?}, x8: {address_in_x8}"));
        }
        if !faults.is_empty() {
            wrong += 1;
            println!("signature {index}: {}", faults.join("; "));
            println!("{}", describe(assignment, function, Abi::Aapcs64));
            for of in function.params.iter().map(|param| &param.ty).chain([&function.result]) {
                match &of.kind {
                    TypeKind::Record(record) => println!("    {}", c_types::body(record)),
                    _ => println!("    {}", declare(of, "")),
                }
            }
        }
    }
    println!(
        "{compared} values, {unreadable} unreadable; {wrong} of {SIGNATURES} signatures differ"
    );
    println!("{refused} signatures were refused, {skipped} skipped, clang differs from GCC there");
    println!("values without bytes in places: {hollow:?}");
    hollow.assert(60);
    assert!((1..SIGNATURES).contains(&skipped), "{skipped} signatures were skipped");
    assert_eq!(wrong, 0);
    assert!(unreadable < compared / 50 && refused < SIGNATURES / 10);
}
