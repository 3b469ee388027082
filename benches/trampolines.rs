//! How long it takes to make a trampoline: `cargo bench --bench trampolines`.
//!
//! From a verified plan to code that can be called: lowering, Cranelift's verifier, its compiler, and
//! memory for the code. Each plan in turn in every round, medians over all rounds.
use portcullis::cranelift_backend::Trampoline;
use portcullis::plan::abi::Abi;
use portcullis::plan::compile::{Target, compile};
use portcullis::plan::handles::HandleType;
use portcullis::plan::layout::DataModel;
use portcullis::plan::{HandleTypes, Plan};
use portcullis::signature::{Record, Scope, parse_prototype};
use std::sync::Arc;
use std::time::Instant;

struct OneType;
impl HandleTypes for OneType {
    fn number(&self, _: &Record) -> HandleType {
        HandleType(1)
    }
}

/// What is compiled. The second one has the aim.
const PROTOTYPES: [&str; 7] = [
    "int add(int a, int b)",
    "int four(int a, long b, const uint8_t *__counted_by(n) p, unsigned n)",
    "double cos(double x)",
    "size_t strlen(const char *s)",
    "int changes(struct sqlite3 *db)",
    "struct point { double x, y; } add(struct point { double x, y; } a, struct point b)",
    "int compress(uint8_t *_Out_ __counted_by(*n) to, unsigned long *_Inout_ n, const uint8_t *__counted_by(m) from, unsigned long m)",
];
/// Microseconds.
const AIM: f64 = 150.0;

fn plan(text: &str) -> Plan {
    let scope = Scope::default();
    let prototype = parse_prototype(text, &scope).unwrap_or_else(|error| panic!("{error}"));
    let target = Target {
        model: DataModel::Ilp32,
        abi: Abi::SysvX86_64,
        leaf: true,
        scope: &scope,
        import: None,
        handle_types: &OneType,
        grants: &|_| None,
    };
    compile(&Arc::new(prototype), &target).unwrap_or_else(|error| panic!("{error}"))
}

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 401 } else { 1 };
    let plans: Vec<Plan> = PROTOTYPES.iter().map(|text| plan(text)).collect();
    let mut times = vec![Vec::new(); plans.len()];
    let mut sizes = vec![0; plans.len()];
    for _ in 0..rounds {
        for ((plan, times), size) in plans.iter().zip(&mut times).zip(&mut sizes) {
            let start = Instant::now();
            let trampoline = Trampoline::compile(plan);
            times.push(start.elapsed().as_secs_f64() * 1e6);
            *size = trampoline.unwrap_or_else(|why| panic!("{why}")).size();
        }
    }
    println!("{:>12}{:>12}{:>8}  {rounds} rounds", "us, median", "fastest", "bytes");
    for ((text, times), size) in PROTOTYPES.iter().zip(&mut times).zip(&sizes) {
        times.sort_by(f64::total_cmp);
        println!("{:>12.0}{:>12.0}{size:>8}  {text}", times[times.len() / 2], times[0]);
    }
    let found = times[1][times[1].len() / 2];
    let verdict = if found <= AIM { "met" } else { "MISSED" };
    println!("aim: four arguments in at most {AIM} us: {verdict} ({found:.0})");
}
