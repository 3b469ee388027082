//! Assignments of random signatures, compared with what callers compiled by the C compiler do.
//!
//! The generated program calls a routine in assembly through a pointer of each signature's type.
//! The routine writes down every parameter register and the stack, then fills the result registers
//! with known bytes. Every byte of every value must be where the assignment says.

use crate::c_types::{self, Generator, Menu, declare};
use crate::hollow::Hollow;
use portcullis::plan::abi::{Abi, AbiError, Assignment, Location, Piece, Value, assign, describe};
use portcullis::plan::layout::Target;
use portcullis::signature::{Function, Scope, Type, TypeKind, Variadic};
use std::fmt::Write as _;
use std::process::Command;

/// Small records, for large ones all travel in memory. What compilers disagree on is left out, but
/// for the unnamed bit-fields that they agree on, and for members without bytes, where GCC is right.
const MENU: Menu = Menu {
    bit_fields: true,
    unnamed_bit_fields: true,
    attributes: true,
    atomics: false,
    wide: true,
    fields: 4,
    hollow: true,
    pointers: true,
};
const HOST: Target = Target::Host(Abi::SysvX86_64);
const SIGNATURES: usize = 500;
const RECORDS: usize = 200;
/// The routine copies so much of the stack.
const STACK: usize = 4096;
const INTEGERS: usize = 6;
const VECTORS: usize = 8;

/// What the routine writes down, and what it hands back.
///
/// `rdi` is where a result in memory goes, so the routine copies one there when asked to, and
/// returns its address as the ABI wants it.
const ROUTINE: &str = r#"
#include <stdio.h>
#include <string.h>
struct { unsigned long integer[6], al, address; unsigned char vector[8][16], stack[4096]; } seen;
struct { unsigned char integer[2][8], vector[2][16], x87[2][16], memory[4096];
         unsigned long x87_count, memory_size; } given;
void routine(void);
__asm__(".text\n.globl routine\nroutine:\n"
    "movq %rdi, seen(%rip)\n"
    "movq %rsi, seen+8(%rip)\n"
    "movq %rdx, seen+16(%rip)\n"
    "movq %rcx, seen+24(%rip)\n"
    "movq %r8, seen+32(%rip)\n"
    "movq %r9, seen+40(%rip)\n"
    "movq %rax, seen+48(%rip)\n"
    "leaq 8(%rsp), %rsi\n"
    "movq %rsi, seen+56(%rip)\n"
    "movups %xmm0, seen+64(%rip)\n"
    "movups %xmm1, seen+80(%rip)\n"
    "movups %xmm2, seen+96(%rip)\n"
    "movups %xmm3, seen+112(%rip)\n"
    "movups %xmm4, seen+128(%rip)\n"
    "movups %xmm5, seen+144(%rip)\n"
    "movups %xmm6, seen+160(%rip)\n"
    "movups %xmm7, seen+176(%rip)\n"
    "leaq seen+192(%rip), %rdi\n"
    "movl $512, %ecx\n"
    "rep movsq\n"
    "movups given+16(%rip), %xmm0\n"
    "movups given+32(%rip), %xmm1\n"
    "movq given+8(%rip), %rdx\n"
    "cmpq $0, given+4184(%rip)\n"
    "jne 1f\n"
    "movq given(%rip), %rax\n"
    "cmpq $2, given+4176(%rip)\n"
    "jb 2f\n"
    "fldt given+64(%rip)\n"
    "2: cmpq $1, given+4176(%rip)\n"
    "jb 3f\n"
    "fldt given+48(%rip)\n"
    "3: ret\n"
    "1: movq seen(%rip), %rdi\n"
    "movq %rdi, %rax\n"
    "leaq given+80(%rip), %rsi\n"
    "movq given+4184(%rip), %rcx\n"
    "rep movsb\n"
    "ret\n");
static void put(const void *bytes, unsigned long size) { fwrite(bytes, 1, size, stdout); }
static unsigned char next = 1;
static void fill(void *bytes, unsigned long size) {
    for (unsigned long i = 0; i < size; ++i) { ((unsigned char *)bytes)[i] = next; next += 7; }
}
static void *volatile target = routine;
"#;

fn host_size(of: &Type) -> usize {
    c_types::size(of, HOST)
}

/// The C function that makes one call and reports it.
fn call(index: usize, function: &Function, assignment: &Assignment) -> String {
    let mut text = format!("static void call_{index}(void) {{\n");
    let mut args = Vec::new();
    for (number, of) in c_types::types(function).iter().enumerate() {
        let name = format!("a{number}");
        let _ = writeln!(text, "{}; fill(&{name}, sizeof {name});", declare(of, &name));
        if of.kind == TypeKind::Bool {
            let _ = writeln!(text, "{name} = 1;");
        }
        args.push(name);
    }
    let x87 = assignment
        .result
        .pieces
        .iter()
        .filter(|piece| matches!(piece.location, Location::X87(_)))
        .count();
    let memory = if assignment.result.indirect.is_some() { host_size(&function.result) } else { 0 };
    let _ = writeln!(text, "given.x87_count = {x87}; given.memory_size = {memory};");
    let mut parameters: Vec<String> =
        function.params.iter().map(|param| declare(&param.ty, "")).collect();
    if matches!(function.variadic, Variadic::Typed(_)) {
        parameters.push("...".to_owned());
    } else if parameters.is_empty() {
        parameters.push("void".to_owned());
    }
    let pointer = declare(&function.result, &format!("(*)({})", parameters.join(", ")));
    let called = format!("(({pointer})target)({})", args.join(", "));
    if function.result.kind == TypeKind::Void {
        let _ = writeln!(text, "{called};");
    } else {
        let _ =
            writeln!(text, "{}; fill(&r, sizeof r); r = {called};", declare(&function.result, "r"));
    }
    text.push_str("put(&seen, sizeof seen);\n");
    for name in args {
        let _ = writeln!(text, "put(&{name}, sizeof {name});");
    }
    if function.result.kind != TypeKind::Void {
        text.push_str("put(&r, sizeof r);\n");
    }
    text.push_str("}\n");
    text
}

/// Reads the program's output from front to back.
struct Output<'a>(&'a [u8]);

impl<'a> Output<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("8 bytes"))
    }
}

/// The bytes at a piece's location.
fn at<'a>(
    piece: &Piece,
    integers: &'a [u8],
    vectors: &'a [u8],
    x87: &'a [u8],
    stack: &'a [u8],
) -> &'a [u8] {
    let (bytes, start) = match piece.location {
        Location::Integer(number) => (integers, 8 * usize::from(number)),
        Location::Vector(number) => (vectors, 16 * usize::from(number)),
        Location::X87(number) => (x87, 16 * usize::from(number)),
        Location::Stack(offset) => (stack, usize::try_from(offset).expect("small")),
    };
    &bytes[start..start + usize::try_from(piece.size).expect("small")]
}

/// What differs between a value and the bytes at the locations of its pieces.
fn differences<'a>(
    of: &Type,
    value: &Value,
    bytes: &[u8],
    find: impl Fn(&Piece) -> &'a [u8],
) -> Option<String> {
    let mut missing = vec![0; bytes.len()];
    c_types::meaning(of, HOST, 0, &mut missing);
    for piece in &value.pieces {
        let start = usize::try_from(piece.offset).expect("small");
        for (index, byte) in find(piece).iter().enumerate() {
            let mask = missing[start + index];
            if (byte ^ bytes[start + index]) & mask != 0 {
                return Some(format!("byte {} is not in {:?}", start + index, piece.location));
            }
            missing[start + index] = 0;
        }
    }
    let lost = missing.iter().position(|mask| *mask != 0)?;
    Some(format!("byte {lost} is in no piece"))
}

#[test]
fn callers_compiled_by_the_c_compiler_put_everything_where_we_say() {
    let mut generator = Generator::new(c_types::seed(), MENU);
    for _ in 0..RECORDS {
        generator.record();
    }
    let scope = Scope::default();
    let mut cases = Vec::new();
    let mut refused = 0;
    let mut hollow = Hollow::default();
    while cases.len() < SIGNATURES {
        let function = c_types::signature(&mut generator);
        match assign(&function, &scope, Abi::SysvX86_64) {
            Ok(assignment) => {
                c_types::types(&function).into_iter().for_each(|of| hollow.count(of));
                cases.push((function, assignment));
            }
            Err(AbiError::Disputed { .. }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    hollow.assert(60);

    let mut program = generator.definitions();
    program.push_str(ROUTINE);
    for (index, (function, assignment)) in cases.iter().enumerate() {
        program.push_str(&call(index, function, assignment));
    }
    // Room above the frames of the calls, for the routine copies more stack than they use.
    program.push_str("int main(void) {\nchar room[8192]; fill(room, sizeof room);\n");
    program.push_str("fill(&given, 80); fill(given.memory, 4096); given.integer[0][0] = 1;\n");
    program.push_str("put(&given, sizeof given - 16);\n");
    for index in 0..cases.len() {
        let _ = writeln!(program, "call_{index}();");
    }
    program.push_str("put(room, 1); return 0; }\n");

    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("calls.c");
    let binary = directory.path().join("calls");
    std::fs::write(&source, &program).expect("writes");
    let compiled = Command::new("gcc")
        .args(["-std=gnu17", "-w", "-O0", "-o"])
        .arg(&binary)
        .arg(&source)
        .output()
        .expect("a C compiler");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let output = Command::new(&binary).output().expect("runs");
    assert!(output.status.success(), "{:?}", output.status);

    let mut output = Output(&output.stdout);
    let given_integers = output.take(16);
    let given_vectors = output.take(32);
    let given_x87 = output.take(32);
    let given_memory = output.take(4096);
    let mut wrong = 0;
    for (index, (function, assignment)) in cases.iter().enumerate() {
        let mut faults = Vec::new();
        let integers = output.take(8 * INTEGERS);
        let al = output.word() & 0xff;
        let address = output.word();
        let vectors = output.take(16 * VECTORS);
        let stack = output.take(STACK);
        if address % u64::from(assignment.stack_align) != 0 {
            faults.push(format!("the stack is not aligned to {}", assignment.stack_align));
        }
        let variadic = matches!(function.variadic, Variadic::Typed(_));
        if variadic && al != u64::from(assignment.vector_registers) {
            faults.push(format!("al is {al}"));
        }
        for (number, (of, value)) in
            c_types::types(function).into_iter().zip(&assignment.params).enumerate()
        {
            let bytes = output.take(host_size(of));
            let find = |piece: &Piece| at(piece, integers, vectors, &[], stack);
            if let Some(fault) = differences(of, value, bytes, find) {
                faults.push(format!("parameter {}: {fault}", number + 1));
            }
        }
        let bytes = output.take(host_size(&function.result));
        let result = &assignment.result;
        if function.result.kind != TypeKind::Void {
            let whole = Piece {
                offset: 0,
                size: u32::try_from(bytes.len()).expect("small"),
                location: Location::Stack(0),
            };
            let value = match result.indirect {
                Some(_) => Value { pieces: vec![whole], ..result.clone() },
                None => result.clone(),
            };
            let find =
                |piece: &Piece| at(piece, given_integers, given_vectors, given_x87, given_memory);
            if let Some(fault) = differences(&function.result, &value, bytes, find) {
                faults.push(format!("result: {fault}"));
            }
        }
        if !faults.is_empty() {
            wrong += 1;
            println!("signature {index}: {}", faults.join("; "));
            println!("{}", describe(assignment, function, Abi::SysvX86_64));
            for of in c_types::types(function).into_iter().chain([&function.result]) {
                match &of.kind {
                    TypeKind::Record(record) => println!("    {}", c_types::body(record)),
                    _ => println!("    {}", declare(of, "")),
                }
            }
        }
    }
    assert_eq!(output.0.len(), 1, "the program reported every call");
    println!("{} signatures agree, {wrong} differ, {refused} are refused", cases.len() - wrong);
    println!("values without bytes in places: {hollow:?}");
    assert_eq!(wrong, 0);
    assert!(refused < SIGNATURES / 2, "{refused} signatures were refused");
}
