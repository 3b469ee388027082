//! Every way to tamper with a plan by one step.
use crate::plan::expression::Step;
use crate::plan::format::{Kind, Passed};
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::{At, Op, Operand, Width};
use crate::plan::{Callee, Plan, Purpose, WasmType};
use crate::signature::{BinaryOp, UnaryOp};
use fields::Fields;
use std::sync::Arc;

mod callback;
mod data;
mod fields;

/// A plan that was tampered with, and what was done to it.
pub(crate) type Mutant = (&'static str, Plan);

const WIDTHS: [Width; 9] = [
    Width::U8,
    Width::I8,
    Width::U16,
    Width::I16,
    Width::U32,
    Width::I32,
    Width::U64,
    Width::I64,
    Width::I128,
];

const BINARY: [BinaryOp; 18] = [
    BinaryOp::Multiply,
    BinaryOp::Divide,
    BinaryOp::Remainder,
    BinaryOp::Add,
    BinaryOp::Subtract,
    BinaryOp::ShiftLeft,
    BinaryOp::ShiftRight,
    BinaryOp::Less,
    BinaryOp::LessEqual,
    BinaryOp::Greater,
    BinaryOp::GreaterEqual,
    BinaryOp::Equal,
    BinaryOp::NotEqual,
    BinaryOp::BitAnd,
    BinaryOp::BitXor,
    BinaryOp::BitOr,
    BinaryOp::And,
    BinaryOp::Or,
];

/// All mutants of a plan. What only the interface knows is left alone: the verifier says itself
/// that it does not prove that (see `what_only_the_interface_knows_is_not_proven`).
pub(crate) fn mutants(plan: &Plan) -> Vec<Mutant> {
    let mut all = Vec::new();
    ops(plan, &mut all);
    shape(plan, &mut all);
    expressions(plan, &mut all);
    tables(plan, &mut all);
    travelling(plan, &mut all);
    data::shapes(plan, &mut all);
    all.retain(|(_, mutant)| mutant != plan);
    all
}

/// One change of a plan, chosen by two numbers: of an op if `which` is even, else any. Without a fuzzer's
/// patience all are listed.
#[allow(dead_code, reason = "for the fuzz targets")]
pub(crate) fn one_of(plan: &mut Plan, which: u64, change: u64) {
    let index = usize::try_from(which >> 1).unwrap_or(0) % plan.ops.len().max(1);
    let chosen = |count: usize| usize::try_from(change).unwrap_or(0) % count;
    if which.is_multiple_of(2) && index < plan.ops.len() {
        let places = places(plan);
        let mut fields = Fields { op: plan.ops[index], places: &places, all: Vec::new() };
        fields.mutate();
        if !fields.all.is_empty() {
            plan.ops[index] = fields.all[chosen(fields.all.len())].1;
            return;
        }
    }
    if which % 8 == 1 {
        let mut all = mutants(plan);
        *plan = all.swap_remove(chosen(all.len())).1;
    } else if index < plan.ops.len() {
        let other = chosen(plan.ops.len());
        plan.ops.swap(index, other);
    }
}

/// One op with another value in one of its fields.
fn ops(plan: &Plan, all: &mut Vec<Mutant>) {
    let places = places(plan);
    for index in 0..plan.ops.len() {
        let mut fields = Fields { op: plan.ops[index], places: &places, all: Vec::new() };
        fields.mutate();
        for (field, op) in fields.all {
            let mut mutant = plan.clone();
            mutant.ops[index] = op;
            all.push((field, mutant));
        }
    }
}

/// Where values travel: other slots, other moves.
fn travelling(plan: &Plan, all: &mut Vec<Mutant>) {
    let mut with = |class, f: &dyn Fn(&mut Plan)| {
        let mut mutant = plan.clone();
        f(&mut mutant);
        all.push((class, mutant));
    };
    for index in 0..plan.slots.len() {
        with("slots", &|m| m.slots[index] = m.slots[index].wrapping_add(1));
        with("slots", &|m| m.slots[index] = m.slots[index].wrapping_sub(1));
    }
    with("slots", &|m| m.slots = [&*m.slots, &[99]].concat().into());
    with("frame", &|m| m.frame.stack_align = m.frame.stack_align.wrapping_mul(2));
    with("frame", &|m| m.frame.align = m.frame.align.wrapping_mul(2));
    for index in 0..plan.passed.len() {
        for kind in [Kind::Int, Kind::Wide, Kind::Double, Kind::LongDouble, Kind::Text] {
            with("passed", &|m| m.passed[index].kind = kind);
        }
        for at in places(plan) {
            with("passed", &|m| m.passed[index].at = at);
        }
        with("passed", &|m| {
            let mut passed = m.passed.to_vec();
            passed.remove(index);
            m.passed = passed.into();
        });
    }
    if let Some(at) = At::new(16) {
        let more = Passed { kind: Kind::Int, at };
        with("passed", &|m| m.passed = [&m.passed[..], &[more]].concat().into());
    }
    for (list, moves) in plan.moves.iter().enumerate() {
        with("moves", &|m| m.moves[list] = [].into());
        for index in 0..moves.len() {
            let one = |f: &dyn Fn(&mut Move)| {
                let mut moves = plan.moves.clone();
                f(&mut moves[list][index]);
                moves
            };
            with("moves", &|m| m.moves = one(&|one| one.memory = one.memory.wrapping_add(1)));
            with("moves", &|m| m.moves = one(&|one| one.memory = u32::MAX));
            for at in places(plan) {
                with("moves", &|m| m.moves = one(&|one| one.frame = at));
            }
            for kind in [
                MoveKind::Clear(8),
                MoveKind::Bytes(1),
                MoveKind::Bytes(4),
                MoveKind::Bytes(16),
                MoveKind::Bits(1),
                MoveKind::Bool,
                MoveKind::Signed32,
                MoveKind::Unsigned32,
                MoveKind::Extended,
            ] {
                with("moves", &|m| m.moves = one(&|one| one.kind = kind));
            }
            let without = |m: &mut Plan| {
                let mut moves = m.moves[list].to_vec();
                moves.remove(index);
                m.moves[list] = moves.into();
            };
            with("moves", &without);
            with("moves", &|m| {
                let moves = &m.moves[list];
                m.moves[list] = [moves, &moves[index..=index]].concat().into();
            });
            with("moves", &|m| m.moves[list].swap(0, index));
        }
    }
}

/// Ops taken away, repeated, exchanged, moved; the plan's own numbers.
fn shape(plan: &Plan, all: &mut Vec<Mutant>) {
    let mut with = |class, f: &dyn Fn(&mut Plan)| {
        let mut mutant = plan.clone();
        f(&mut mutant);
        all.push((class, mutant));
    };
    let call = usize::from(plan.call);
    for index in 0..plan.ops.len() {
        let edit = |mutant: &mut Plan, keep_call: bool, f: &dyn Fn(&mut Vec<Op>)| {
            let mut ops = mutant.ops.to_vec();
            let before = ops.len();
            f(&mut ops);
            if !keep_call && index < call {
                let moved = if ops.len() < before { u16::MAX } else { 1 };
                mutant.call = mutant.call.wrapping_add(moved);
            }
            mutant.ops = ops.into();
        };
        for keep_call in [false, true] {
            with("remove", &|m| {
                edit(m, keep_call, &|ops| {
                    ops.remove(index);
                })
            });
            with("repeat", &|m| edit(m, keep_call, &|ops| ops.insert(index, ops[index])));
        }
        with("repeat at the end", &|m| edit(m, true, &|ops| ops.push(ops[index])));
        for other in index + 1..plan.ops.len() {
            with("exchange", &|m| m.ops.swap(index, other));
        }
        with("move to the end", &|m| m.ops[index..].rotate_left(1));
        with("move to the start", &|m| m.ops[..=index].rotate_right(1));
    }
    for call in [0, plan.call.wrapping_sub(1), plan.call.wrapping_add(1), u16::MAX] {
        with("call", &|m| m.call = call);
    }
    for step in [1, 8, 16, 64, 0u16.wrapping_sub(1), 0u16.wrapping_sub(8), 0u16.wrapping_sub(16)] {
        with("frame", &|m| m.frame.stack = m.frame.stack.wrapping_add(step));
        with("frame", &|m| m.frame.locals = m.frame.locals.wrapping_add(step));
        with("frame", &|m| m.frame.size = m.frame.size.wrapping_add(step));
    }
    with("fact", &|m| m.facts.memory ^= true);
    with("fact", &|m| m.facts.allocates ^= true);
    with("fact", &|m| m.facts.errno ^= true);
    with("fact", &|m| m.facts.marks ^= true);
    with("fact", &|m| m.facts.after ^= true);
    with("data model", &|m| m.facts.wide ^= true);
    let types = [WasmType::I32, WasmType::I64, WasmType::F32, WasmType::F64, WasmType::V128];
    for ty in types {
        for index in 0..plan.lowering.params.len() {
            with("wasm type", &|m| m.lowering.params[index] = ty);
        }
        with("wasm type", &|m| m.lowering.params.push(ty));
        with("wasm type", &|m| m.lowering.results = vec![ty]);
        with("wasm type", &|m| m.lowering.results.push(ty));
    }
    with("wasm type", &|m| {
        m.lowering.params.pop();
    });
    with("wasm type", &|m| m.lowering.results.clear());
}

/// Steps of expressions.
fn expressions(plan: &Plan, all: &mut Vec<Mutant>) {
    let places = places(plan);
    for index in 0..plan.expressions.len() {
        let mut with = |class, f: &dyn Fn(&mut Vec<Step>)| {
            let mut mutant = plan.clone();
            let mut steps = mutant.expressions[index].steps.to_vec();
            f(&mut steps);
            mutant.expressions[index].steps = steps.into();
            all.push((class, mutant));
        };
        for at in 0..plan.expressions[index].steps.len() {
            with("remove step", &|steps| {
                steps.remove(at);
            });
            with("repeat step", &|steps| steps.insert(at, steps[at]));
            with("insert step", &|steps| steps.insert(at, Step::Truth));
            with("insert step", &|steps| steps.insert(at, Step::Constant(1)));
            with("insert step", &|steps| steps.insert(at, Step::Jump(0)));
            with("insert step", &|steps| steps.insert(at, Step::JumpIfZero(0)));
            with("exchange steps", &|steps| {
                let next = (at.wrapping_add(1)) % steps.len();
                steps.swap(at, next);
            });
            for step in step_variants(plan.expressions[index].steps[at], &places) {
                with("step", &|steps| steps[at] = step);
            }
        }
    }
}

fn step_variants(step: Step, places: &[At]) -> Vec<Step> {
    let unary = [UnaryOp::Negate, UnaryOp::Complement, UnaryOp::Not].map(Step::Unary);
    match step {
        Step::Constant(value) => {
            vec![
                Step::Constant(value.wrapping_add(1)),
                Step::Constant(value.wrapping_neg()),
                Step::Constant(i64::MAX),
                Step::Large(value.unsigned_abs()),
                Step::Large(u64::MAX),
            ]
        }
        Step::Large(value) => vec![Step::Large(value.wrapping_sub(1)), Step::Constant(0)],
        Step::Load(operand) => operands(operand, places).into_iter().map(Step::Load).collect(),
        Step::Field { offset, width } => vec![
            Step::Field { offset: offset.wrapping_add(1), width },
            Step::Field { offset: 1 << 20, width },
            Step::Field { offset, width: Width::I8 },
            Step::Field { offset, width: Width::U64 },
            Step::Constant(0),
        ],
        Step::Behind { at, offset, width } => {
            let mut all = vec![
                Step::Behind { at, offset: offset.wrapping_add(8), width },
                Step::Behind { at, offset: 1 << 20, width },
                Step::Behind { at, offset, width: Width::I8 },
                Step::Behind { at, offset, width: Width::U64 },
                Step::Field { offset, width },
            ];
            all.extend(places.iter().map(|at| Step::Behind { at: *at, offset, width }));
            all
        }
        Step::Unary(_) => unary.into_iter().chain([Step::Abs, Step::Truth]).collect(),
        Step::Binary(_) => {
            BINARY.map(Step::Binary).into_iter().chain([Step::Min, Step::Max]).collect()
        }
        Step::Abs | Step::Truth => unary.into_iter().chain([Step::Abs, Step::Truth]).collect(),
        Step::Min | Step::Max => vec![Step::Min, Step::Max, Step::Binary(BinaryOp::Add)],
        Step::Jump(by) => vec![
            Step::Jump(by.wrapping_add(1)),
            Step::Jump(by.wrapping_sub(1)),
            Step::Jump(u16::MAX),
            Step::JumpIfZero(by),
        ],
        Step::JumpIfZero(by) => vec![
            Step::JumpIfZero(by.wrapping_add(1)),
            Step::JumpIfZero(by.wrapping_sub(1)),
            Step::JumpIfZero(u16::MAX),
            Step::Jump(by),
        ],
        Step::Call { callee, arguments } => vec![
            Step::Call { callee: callee.wrapping_add(1), arguments },
            Step::Call { callee, arguments: arguments.wrapping_add(1) },
            Step::Call { callee, arguments: arguments.wrapping_sub(1) },
        ],
    }
}

/// Entries of tables.
fn tables(plan: &Plan, all: &mut Vec<Mutant>) {
    let mut with = |class, f: &dyn Fn(&mut Plan)| {
        let mut mutant = plan.clone();
        f(&mut mutant);
        all.push((class, mutant));
    };
    for set in 0..plan.ranges.len() {
        for one in 0..plan.ranges[set].len() {
            with("range", &|m| m.ranges[set][one].0 = m.ranges[set][one].0.wrapping_sub(1));
            with("range", &|m| m.ranges[set][one].1 = m.ranges[set][one].1.wrapping_add(1));
            with("range", &|m| {
                let mut intervals = m.ranges[set].to_vec();
                intervals.remove(one);
                m.ranges[set] = intervals.into();
            });
        }
        with("range", &|m| m.ranges[set] = [&m.ranges[set][..], &[(-9, -8)]].concat().into());
    }
    let idle = Callee { symbol: "idle".into(), purpose: Purpose::Free };
    for index in 0..plan.callees.len() {
        with("callee", &|m| m.callees[index].symbol = "other".into());
        with("callee", &|m| m.callees[index].purpose = Purpose::Free);
        with("callee", &|m| m.callees[index].purpose = Purpose::Drop);
        with("callee", &|m| {
            let purpose = Purpose::Pure { params: Box::new([Width::I32; 7]), result: Width::I32 };
            m.callees[index].purpose = purpose;
        });
    }
    for index in 0..plan.handle_kinds.len() {
        with("handle kind", &|m| m.handle_kinds[index].name = "struct other".into());
        with("destructor", &|m| m.handle_kinds[index].drop = None);
        with("destructor", &|m| m.handle_kinds[index].drop = Some(0));
        with("handle kind", &|m| {
            m.handle_kinds[index].drop = Some(u16::try_from(m.callees.len()).unwrap_or(u16::MAX));
        });
        with("handle kind", &|m| {
            m.handle_kinds = [&m.handle_kinds[..], &m.handle_kinds[index..=index]].concat().into();
        });
    }
    for index in 0..plan.names.len() {
        with("name", &|m| m.names[index] = "other".into());
        with("name", &|m| {
            m.names = [&m.names[..], &m.names[index..=index]].concat().into();
        });
        with("name", &|m| m.names.swap(0, index));
    }
    with("idle entry", &|m| m.names = [&m.names[..], &["idle".into()]].concat().into());
    with("lost entry", &|m| m.names = m.names.iter().skip(1).cloned().collect());
    for index in 0..plan.callbacks.len() {
        with("callback", &|m| {
            m.callbacks[index].on_trap = m.callbacks[index].on_trap.wrapping_add(1)
        });
        with("callback", &|m| m.callbacks[index].on_trap = i64::MIN);
        with("callback", &|m| {
            m.callbacks = [&m.callbacks[..], &m.callbacks[index..=index]].concat().into();
        });
        with("callback", &|m| {
            Arc::make_mut(&mut m.callbacks[index].plan).call =
                Arc::make_mut(&mut m.callbacks[index].plan).call.wrapping_add(1)
        });
        with("callback", &|m| Arc::make_mut(&mut m.callbacks[index].plan).facts.wide ^= true);
        with("callback", &|m| {
            Arc::make_mut(&mut m.callbacks[index].plan).kind = crate::plan::Kind::Import;
        });
    }
    with("lost entry", &|m| m.callbacks = m.callbacks.iter().skip(1).cloned().collect());
    with("idle entry", &|m| m.ranges = [&m.ranges[..], &[Box::from([(0, 1)])]].concat().into());
    with("idle entry", &|m| {
        m.callees = [&m.callees[..], std::slice::from_ref(&idle)].concat().into()
    });
    with("idle entry", &|m| {
        m.expressions =
            [&m.expressions[..], &m.expressions[..m.expressions.len().min(1)]].concat().into();
    });
    for (class, table) in
        [("lost entry", 0), ("lost entry", 1), ("lost entry", 2), ("lost entry", 3)]
    {
        with(class, &|m| match table {
            0 => m.ranges = m.ranges.iter().skip(1).cloned().collect(),
            1 => m.callees = m.callees.iter().skip(1).cloned().collect(),
            2 => m.expressions = m.expressions.iter().skip(1).cloned().collect(),
            _ => m.handle_kinds = m.handle_kinds.iter().skip(1).cloned().collect(),
        });
    }
}

/// Positions to try: those of the plan and their neighbours, and the edges of the frame's parts.
fn places(plan: &Plan) -> Vec<At> {
    let text = format!("{:?}{:?}", plan.ops, plan.expressions);
    let used = text.split("At(").skip(1).filter_map(|rest| rest.split(')').next()?.parse().ok());
    let mut offsets: Vec<usize> = used.flat_map(|at: usize| [at, at.wrapping_add(8)]).collect();
    let size = usize::from(plan.frame.size);
    offsets.extend([8, 17, 80, 84, 96, 200, 208, 224, 287, size.wrapping_sub(8), size, 65528]);
    offsets.sort_unstable();
    offsets.dedup();
    offsets.into_iter().filter_map(At::new).collect()
}

fn operands(operand: Operand, places: &[At]) -> Vec<Operand> {
    let moved = places.iter().map(|at| Operand { at: *at, ..operand });
    let other = WIDTHS.iter().map(|width| Operand { width: *width, ..operand });
    moved.chain(other).collect()
}

fn numbers(number: u16) -> [u16; 4] {
    [0, number.wrapping_sub(1), number.wrapping_add(1), 999]
}
