//! Layouts of random records, compared with what C compilers say.
//!
//! Each record is printed as C. The compiled program reports `sizeof`, `_Alignof`, `offsetof`, and
//! the bits of each bit-field by setting them and looking. It runs natively (LP64) and as a wasm
//! module (ILP32).

use crate::c_types::{self, Generator, Menu};
use portcullis::plan::abi::Abi;
use portcullis::plan::layout::{BitRange, DataModel, Target, record_on};
use portcullis::signature::{Record, RecordKind, Scope, Span, TypeKind};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const MENU: Menu = Menu {
    bit_fields: true,
    unnamed_bit_fields: true,
    attributes: true,
    atomics: true,
    wide: true,
    fields: 7,
    hollow: true,
    pointers: true,
};
const RECORDS: usize = 600;

/// What the program is asked, in order: the C expression, and its value as we compute it.
struct Questions {
    target: Target,
    scope: Scope,
    code: String,
    expected: Vec<(String, u64)>,
}

impl Questions {
    fn ask(&mut self, question: String, expected: u64) {
        self.expected.push((question, expected));
    }

    fn record(&mut self, record: &Record) {
        let tag = record.tag.as_ref().expect("has a tag");
        let name = match record.kind {
            RecordKind::Struct => format!("struct {tag}"),
            RecordKind::Union => format!("union {tag}"),
        };
        let (whole, _) = record_on(record, Span::default(), &self.scope, self.target)
            .unwrap_or_else(|error| panic!("{}: {error}", c_types::body(record)));
        self.ask(format!("sizeof({name})"), whole.size);
        self.ask(format!("_Alignof({name})"), whole.align.into());
        self.fields(&name, record, 0);
    }

    fn fields(&mut self, name: &str, record: &Record, base: u64) {
        let (_, places) = record_on(record, Span::default(), &self.scope, self.target)
            .expect("the record around it has a layout");
        let body = record.body.as_ref().expect("has a body");
        assert_eq!(places.len(), body.fields.len());
        for (field, place) in body.fields.iter().zip(places) {
            let offset = base + place.offset;
            match (&field.name, place.bits) {
                (Some(member), None) => {
                    self.ask(format!("__builtin_offsetof({name}, {member})"), offset);
                    if !matches!(field.ty.kind, TypeKind::Array { length: None, .. }) {
                        self.ask(format!("sizeof((({name} *)0)->{member})"), place.size);
                    }
                }
                (Some(member), Some(BitRange { shift, width })) => {
                    let variable = format!("o_{member}");
                    let _ = writeln!(self.code, "static {name} {variable};");
                    let set = format!("({variable}.{member} = -1, (void *)&{variable})");
                    let low = 8 * offset + u64::from(shift);
                    let size = format!("sizeof({variable})");
                    self.ask(format!("lowest({set}, {size})"), low);
                    self.ask(format!("highest({set}, {size})"), low + u64::from(width) - 1);
                }
                (None, None) => match &field.ty.kind {
                    TypeKind::Record(inner) => self.fields(name, inner, offset),
                    _ => panic!("only records go without a name"),
                },
                (None, Some(_)) => {}
            }
        }
    }
}

fn questions(target: Target) -> (String, Vec<(String, u64)>) {
    let mut generator = Generator::new(c_types::seed(), MENU);
    for _ in 0..RECORDS {
        generator.record();
    }
    let mut questions =
        Questions { target, scope: Scope::default(), code: String::new(), expected: Vec::new() };
    for record in &generator.records {
        questions.record(record);
    }
    let mut program = generator.definitions();
    program.push_str(
        "static unsigned long long lowest(const void *p, unsigned long n) {
            unsigned long i = 0; const unsigned char *b = p;
            while (i < 8 * n && !(b[i / 8] >> i % 8 & 1)) ++i;
            return i;
        }
        static unsigned long long highest(const void *p, unsigned long n) {
            unsigned long i = 8 * n; const unsigned char *b = p;
            while (i > 0 && !(b[(i - 1) / 8] >> (i - 1) % 8 & 1)) --i;
            return i - 1;
        }\n",
    );
    program.push_str(&questions.code);
    let _ = writeln!(program, "unsigned long long answers[{}];", questions.expected.len());
    program.push_str("unsigned long long *report(void) {\n");
    for (index, (question, _)) in questions.expected.iter().enumerate() {
        let _ = writeln!(program, "answers[{index}] = {question};");
    }
    program.push_str("return answers; }\n");
    (program, questions.expected)
}

fn compare(compiler: &str, program: &str, expected: &[(String, u64)], answers: &[u64]) {
    assert_eq!(answers.len(), expected.len(), "{compiler} answered every question");
    let mut wrong = 0;
    for ((question, ours), theirs) in expected.iter().zip(answers) {
        if ours != theirs {
            wrong += 1;
            let words: Vec<&str> = question.split(|c: char| !c.is_alphanumeric()).collect();
            let tag = words.iter().find(|word| word.starts_with('r')).unwrap_or(&"?");
            let definition = program.lines().find(|l| l.contains(&format!(" {tag} {{")));
            println!("{question}: {compiler} says {theirs}, we say {ours}");
            println!("    {}", definition.unwrap_or_default());
        }
    }
    println!("{compiler}: {} answers, {wrong} differ", answers.len());
    assert_eq!(wrong, 0);
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output.stdout
}

/// Whether the machine has a compiler for that target; says so when it has not.
fn has(compiler: &str, target: &str) -> bool {
    let mut command = Command::new(compiler);
    command.args([target, "-x", "c", "-fsyntax-only", "/dev/null"]);
    let found = command.output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: 1 ({compiler} {target} is not on this machine)");
    }
    found
}

fn native(compiler: &str, directory: &Path) {
    let (program, expected) = questions(Target::Host(Abi::SysvX86_64));
    let main = format!(
        "{program}\n#include <stdio.h>\nint main(void) {{ unsigned long long *a = report();
        for (int i = 0; i < {}; ++i) printf(\"%llu\\n\", a[i]); }}",
        expected.len()
    );
    let source = directory.join("layouts.c");
    let binary = directory.join("layouts");
    std::fs::write(&source, main).expect("writes");
    run(Command::new(compiler).args(["-std=gnu17", "-w", "-O0", "-o"]).arg(&binary).arg(&source));
    let output = String::from_utf8(run(&mut Command::new(&binary))).expect("digits");
    let answers: Vec<u64> = output.lines().map(|line| line.parse().expect("a number")).collect();
    compare(compiler, &program, &expected, &answers);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_host_agrees_with_the_c_compiler() {
    let directory = tempfile::tempdir().expect("a directory");
    native("cc", directory.path());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_host_agrees_with_clang() {
    if has("clang", "--target=x86_64-linux-gnu") {
        let directory = tempfile::tempdir().expect("a directory");
        native("clang", directory.path());
    }
}

#[test]
fn a_guest_agrees_with_clang() {
    if !has("clang", "--target=wasm32") {
        return;
    }
    let (program, expected) = questions(Target::Guest(DataModel::Ilp32));
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("layouts.c");
    let module = directory.path().join("layouts.wasm");
    std::fs::write(&source, &program).expect("writes");
    run(Command::new("clang")
        .args(["--target=wasm32", "-std=gnu17", "-w", "-O0", "-nostdlib", "-o"])
        .arg(&module)
        .args(["-Wl,--no-entry", "-Wl,--export=report"])
        .arg(&source));
    let engine = wasmtime::Engine::default();
    let module = wasmtime::Module::from_file(&engine, &module).expect("a module");
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::Instance::new(&mut store, &module, &[]).expect("an instance");
    let report = instance.get_typed_func::<(), i32>(&mut store, "report").expect("is exported");
    let start = usize::try_from(report.call(&mut store, ()).expect("runs")).expect("an address");
    let memory = instance.get_memory(&mut store, "memory").expect("is exported");
    let answers: Vec<u64> = memory.data(&store)[start..start + 8 * expected.len()]
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
        .collect();
    compare("clang for wasm32", &program, &expected, &answers);
}

/// Targets whose programs do not run here: what the compiler can check by itself. Bits of
/// bit-fields are beyond it.
fn assert_statically(triple: &str, target: Target) {
    if !has("clang", triple) {
        return;
    }
    let (program, expected) = questions(target);
    let mut text =
        program[..program.find("static unsigned long long lowest").expect("there")].to_owned();
    let mut asked = 0;
    for (question, value) in &expected {
        if !question.starts_with("lowest") && !question.starts_with("highest") {
            asked += 1;
            let _ = writeln!(text, "_Static_assert({question} == {value}, \"\");");
        }
    }
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("layouts.c");
    std::fs::write(&source, text).expect("writes");
    run(Command::new("clang")
        .args([triple, "-std=gnu17", "-w", "-ferror-limit=5", "-fsyntax-only"])
        .arg(&source));
    println!("{triple}: {asked} answers agree");
    assert!(asked > 4 * RECORDS);
}

#[test]
fn a_guest_with_a_64_bit_memory_agrees_with_clang() {
    assert_statically("--target=wasm64", Target::Guest(DataModel::Lp64));
}

#[test]
fn a_64_bit_arm_host_agrees_with_clang() {
    assert_statically("--target=aarch64-linux-gnu", Target::Host(Abi::Aapcs64));
}
