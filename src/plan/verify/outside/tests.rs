//! Plans of the compiler are accepted, plans that were tampered with are refused.
use super::super::verify;
use super::*;
use crate::plan::compile::{compile_call, compile_closure};
use crate::plan::disassemble::disassemble;
use crate::plan::op::UpcallOp;
use crate::signature::parse_declaration;
use std::sync::Arc;

const PROTOTYPES: &[&str] = &[
    "void f(void)",
    "int f(int a, int b)",
    "double f(double x)",
    "void *f(void *s, int c, size_t n)",
    "bool f(bool a, char b, signed char c, unsigned char d, short e, unsigned short f, int g, \
     unsigned h, long i, unsigned long j, long long k, float l, double m)",
    "float f(float a)",
    "long double f(long double a, int b)",
    "long double _Complex f(float _Complex a, double _Complex b, long double _Complex c)",
    "__int128 f(__int128 a, int b, unsigned __int128 c)",
    "struct p { double a, b; } f(struct p a, int b)",
    "struct m { int a; double b; } f(struct m a, struct m b)",
    "struct t { char all[3]; } f(struct t a)",
    "struct t { char all[12]; } f(struct t a, struct t b, struct t c, struct t d)",
    "struct l { long all[3]; } f(int a, struct l b)",
    "union u { float a; long b; } f(union u a, enum e { X, Y } b)",
    "struct w { int a; } __attribute__((aligned(64))) f(char a, struct w b, struct w c)",
    "struct w { long a, b; } __attribute__((aligned(16))) f(int a, struct w b)",
    "struct k { char a; double b; } __attribute__((packed)) f(struct k a)",
    "struct b { int a : 3; unsigned b : 20; long c : 40; } f(struct b a, struct b b)",
    "int f(const char *format, ..., double, int, long double, struct { float a, b, c; })",
    "long f(long a, long b, long c, long d, long e, long f, double g, double h, double i, double j, \
     double k, double l, double m, double n, short o, float p, struct { long a; char b; } q)",
    "struct v { float a __attribute__((vector_size(16))); } f(struct v a, double b, struct v c)",
];

/// Plans of both kinds; those of 64-bit Arm whose values travel by address are left out.
fn plans() -> Vec<(&'static str, Plan, Abi)> {
    let mut plans = Vec::new();
    for text in PROTOTYPES {
        let prototype = parse_declaration(text, &Scope::default());
        let Ok(prototype) = prototype.map(Arc::new) else { continue };
        for abi in Abi::ALL {
            for compile in [compile_call, compile_closure] {
                match compile(&prototype, &Scope::default(), abi) {
                    Ok(plan) => plans.push((*text, plan, abi)),
                    Err(error) => {
                        let refused = error.to_string().contains("pass a pointer to it");
                        assert!(refused && abi == Abi::Aapcs64, "{text}: {error}");
                    }
                }
            }
        }
    }
    plans
}

#[test]
fn what_the_compiler_makes_is_accepted() {
    let plans = plans();
    assert!(plans.len() >= 70, "only {}", plans.len());
    for (text, plan, abi) in &plans {
        if let Err(error) = verify(plan, *abi) {
            panic!("{text}: {error}\n{}", disassemble(plan, *abi));
        }
    }
}

const FETCHES: [Fetch; 13] = [
    Fetch::Integer(Width::I8),
    Fetch::Integer(Width::U8),
    Fetch::Integer(Width::I16),
    Fetch::Integer(Width::U16),
    Fetch::Integer(Width::I32),
    Fetch::Integer(Width::U32),
    Fetch::Integer(Width::I64),
    Fetch::Integer(Width::U64),
    Fetch::Integer(Width::I128),
    Fetch::Bool,
    Fetch::Float32,
    Fetch::Float64,
    Fetch::Whole,
];

const RETURNS: [Returns; 13] = [
    Returns::Void,
    Returns::Record,
    Returns::Int8,
    Returns::UInt8,
    Returns::Int16,
    Returns::UInt16,
    Returns::Bool,
    Returns::Int32,
    Returns::Int64,
    Returns::Long32,
    Returns::Float32,
    Returns::Float64,
    Returns::Vector,
];

const STUBS: [Stub; 6] = [
    Stub::Integers,
    Stub::Registers,
    Stub::Stack,
    Stub::Whole { x87: 0 },
    Stub::Whole { x87: 1 },
    Stub::Whole { x87: 2 },
];

/// Other places: near ones, and those of every register.
fn places(at: At) -> Vec<At> {
    let near = [-16_isize, -8, -4, -1, 1, 4, 8, 16];
    let near = near.into_iter().filter_map(|by| At::new(at.offset().checked_add_signed(by)?));
    let registers = (0..8).flat_map(|n| [FrameLayout::integer(n), FrameLayout::vector(n)]);
    let slots = [FrameLayout::stack_slot(0), FrameLayout::stack_slot(16)];
    near.chain(registers.chain(slots).flatten()).filter(|other| *other != at).collect()
}

/// An op with another value in one of its fields.
fn changed(op: Op) -> Vec<Op> {
    let indices = |index: u16| [index.wrapping_sub(1), index + 1, u16::MAX];
    match op {
        Op::Native(NativeOp::Fetch { arg, to, fetch }) => {
            let fetches = FETCHES.map(|fetch| NativeOp::Fetch { arg, to, fetch });
            let args = indices(arg).map(|arg| NativeOp::Fetch { arg, to, fetch });
            let places = places(to).into_iter().map(|to| NativeOp::Fetch { arg, to, fetch });
            fetches.into_iter().chain(args).chain(places).map(Op::Native).collect()
        }
        Op::Native(NativeOp::Split { arg, moves }) => {
            let args = indices(arg).map(|arg| NativeOp::Split { arg, moves });
            let lists = indices(moves).map(|moves| NativeOp::Split { arg, moves });
            args.into_iter().chain(lists).map(Op::Native).collect()
        }
        Op::Native(NativeOp::Destination { to }) => {
            places(to).into_iter().map(|to| Op::Native(NativeOp::Destination { to })).collect()
        }
        Op::Native(NativeOp::Deliver { moves }) => {
            indices(moves).map(|moves| Op::Native(NativeOp::Deliver { moves })).to_vec()
        }
        Op::Call { stub, returns } => {
            let stubs = STUBS.map(|stub| Op::Call { stub, returns });
            let returns = RETURNS.map(|returns| Op::Call { stub, returns });
            stubs.into_iter().chain(returns).collect()
        }
        Op::Upcall(UpcallOp::Lend { from }) => {
            let behind = Op::Upcall(UpcallOp::LendBehind { from });
            let moved = places(from).into_iter().map(|from| Op::Upcall(UpcallOp::Lend { from }));
            moved.chain([behind]).collect()
        }
        Op::Upcall(UpcallOp::Join { moves, offset }) => {
            let lists = indices(moves).map(|moves| UpcallOp::Join { moves, offset });
            let outside = [1 << 9, u32::MAX, (1 << 9) - 1];
            let outside = outside.map(|offset| UpcallOp::Join { moves, offset });
            lists.into_iter().chain(outside).map(Op::Upcall).collect()
        }
        Op::Upcall(UpcallOp::Call { result, hidden }) => {
            let results = [result + 1, result + 8, 496, 512, u32::MAX];
            let results = results.map(|result| UpcallOp::Call { result, hidden });
            let swapped = match hidden {
                Some(_) => None,
                None => FrameLayout::integer(0),
            };
            let mut all = vec![UpcallOp::Call { result, hidden: swapped }];
            all.extend(results);
            let others = hidden.into_iter().flat_map(places);
            all.extend(others.map(|at| UpcallOp::Call { result, hidden: Some(at) }));
            all.into_iter().map(Op::Upcall).collect()
        }
        Op::Upcall(UpcallOp::Reply { fetch: _ }) => {
            FETCHES.map(|fetch| Op::Upcall(UpcallOp::Reply { fetch })).to_vec()
        }
        Op::Upcall(UpcallOp::ReplySplit { moves }) => {
            indices(moves).map(|moves| Op::Upcall(UpcallOp::ReplySplit { moves })).to_vec()
        }
        Op::Upcall(UpcallOp::ReplyHidden { from }) => places(from)
            .into_iter()
            .map(|from| Op::Upcall(UpcallOp::ReplyHidden { from }))
            .collect(),
        _ => Vec::new(),
    }
}

fn changed_move(one: Move) -> Vec<Move> {
    let Move { memory, frame, kind } = one;
    let mut all: Vec<Move> =
        places(frame).into_iter().map(|frame| Move { memory, frame, kind }).collect();
    for memory in [memory.wrapping_sub(1), memory + 1, memory + 8, u32::MAX] {
        all.push(Move { memory, frame, kind });
    }
    let bytes = u16::try_from(kind.frame_bytes()).unwrap_or(u16::MAX);
    for kind in [
        MoveKind::Bytes(bytes - 1),
        MoveKind::Bytes(bytes + 1),
        MoveKind::Bytes(u16::MAX),
        MoveKind::Clear(bytes),
        MoveKind::Bits(0xff),
        MoveKind::Bool,
        MoveKind::Signed32,
        MoveKind::Unsigned32,
        MoveKind::Extended,
    ] {
        all.push(Move { memory, frame, kind });
    }
    all
}

/// Every way to tamper with a plan by one step, none of which is harmless.
fn mutants(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    let mut with = |f: &dyn Fn(&mut Plan)| {
        let mut mutant = plan.clone();
        f(&mut mutant);
        all.push(mutant);
    };
    for index in 0..plan.ops.len() {
        for op in changed(plan.ops[index]) {
            with(&|m| m.ops[index] = op);
        }
        let edit = |m: &mut Plan, moved: u16, f: &dyn Fn(&mut Vec<Op>)| {
            let mut ops = m.ops.to_vec();
            f(&mut ops);
            m.ops = ops.into();
            if index < usize::from(plan.call) {
                m.call = m.call.wrapping_add(moved);
            }
        };
        with(&|m| {
            edit(m, u16::MAX, &|ops| {
                ops.remove(index);
            })
        });
        with(&|m| edit(m, 1, &|ops| ops.insert(index, ops[index])));
        with(&|m| edit(m, 0, &|ops| ops.push(ops[index])));
        let call = usize::from(plan.call);
        for other in index + 1..plan.ops.len() {
            // The order in which arguments are placed does not matter.
            if plan.kind == Kind::Closure || other >= call {
                with(&|m| m.ops.swap(index, other));
            }
        }
        with(&|m| m.ops[index] = Op::Int32 { slot: 0, to: At::new(16).expect("inside") });
    }
    for index in 0..plan.moves.len() {
        for at in 0..plan.moves[index].len() {
            for one in changed_move(plan.moves[index][at]) {
                with(&|m| m.moves[index][at] = one);
            }
            with(&|m| {
                let mut list = m.moves[index].to_vec();
                list.remove(at);
                m.moves[index] = list.into();
            });
            with(&|m| {
                let mut list = m.moves[index].to_vec();
                list.push(list[at]);
                m.moves[index] = list.into();
            });
        }
    }
    with(&|m| {
        let mut moves = m.moves.to_vec();
        moves.push(Box::new([]));
        m.moves = moves.into();
    });
    for by in [8_u16, 16, 0_u16.wrapping_sub(16)] {
        with(&|m| m.frame.stack = m.frame.stack.wrapping_add(by));
        with(&|m| m.frame.stack_align = m.frame.stack_align.wrapping_add(by));
        with(&|m| m.frame.align = m.frame.align.wrapping_add(by));
        with(&|m| m.frame.locals = m.frame.locals.wrapping_add(by));
        with(&|m| m.frame.size = m.frame.size.wrapping_add(by));
    }
    with(&|m| m.call = m.call.wrapping_add(1));
    with(&|m| m.call = m.call.wrapping_sub(1));
    with(&|m| m.facts.after ^= true);
    with(&|m| m.facts.errno ^= true);
    with(&|m| m.slots = Box::new([0]));
    with(&|m| m.lowering.results.push(crate::plan::WasmType::I32));
    with(&|m| m.kind = if m.kind == Kind::Call { Kind::Closure } else { Kind::Call });
    all.retain(|mutant| mutant != plan);
    all
}

#[test]
fn every_single_change_is_refused() {
    let mut refused = 0;
    for (text, plan, abi) in plans() {
        for mutant in mutants(&plan) {
            // Two lists with the same moves are the same list.
            assert!(
                verify(&mutant, abi).is_err(),
                "{text}: accepted\n{}\ninstead of\n{}",
                disassemble(&mutant, abi),
                disassemble(&plan, abi)
            );
            refused += 1;
        }
    }
    assert!(refused >= 10_000, "only {refused}");
}

#[test]
fn a_plan_is_for_its_own_prototype_only() {
    let plans: Vec<_> = plans().into_iter().filter(|(_, _, abi)| *abi == Abi::SysvX86_64).collect();
    for (text, plan, abi) in &plans {
        for (other, source, _) in plans.iter().filter(|(_, other, _)| other.kind == plan.kind) {
            let mutant = Plan { prototype: Arc::clone(&source.prototype), ..plan.clone() };
            assert_eq!(verify(&mutant, *abi).is_ok(), text == other, "{text} as {other}");
        }
    }
}
