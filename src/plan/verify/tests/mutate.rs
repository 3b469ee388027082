//! Every way to tamper with a plan by one step.
use crate::plan::expression::Step;
use crate::plan::op::{
    At, Count, Direction, Fate, Null, Op, Operand, Ownership, Returns, Slot, Stub, TakeExtent,
    Width,
};
use crate::plan::{Callee, Plan, Purpose, WasmType};
use crate::signature::{BinaryOp, UnaryOp};
use std::num::NonZeroU16;

/// A plan that was tampered with, and what was done to it.
pub(super) type Mutant = (&'static str, Plan);

const SCALARS: [fn(u16, At) -> Op; 11] = [
    |slot, to| Op::Int8 { slot, to },
    |slot, to| Op::UInt8 { slot, to },
    |slot, to| Op::Int16 { slot, to },
    |slot, to| Op::UInt16 { slot, to },
    |slot, to| Op::Bool { slot, to },
    |slot, to| Op::Int32 { slot, to },
    |slot, to| Op::Int64 { slot, to },
    |slot, to| Op::Long32 { slot, to },
    |slot, to| Op::ULong32 { slot, to },
    |slot, to| Op::Float32 { slot, to },
    |slot, to| Op::Float64 { slot, to },
];

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
    Returns::ULong32,
    Returns::Float32,
    Returns::Float64,
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
pub(super) fn mutants(plan: &Plan) -> Vec<Mutant> {
    let mut all = Vec::new();
    ops(plan, &mut all);
    shape(plan, &mut all);
    expressions(plan, &mut all);
    tables(plan, &mut all);
    all.retain(|(_, mutant)| mutant != plan);
    all
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
                let next = (at + 1) % steps.len();
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
            with("range", &|m| m.ranges[set][one].0 -= 1);
            with("range", &|m| m.ranges[set][one].1 += 1);
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
        with("handle kind", &|m| {
            m.handle_kinds[index].drop = Some(u16::try_from(m.callees.len()).unwrap_or(u16::MAX));
        });
        with("handle kind", &|m| {
            m.handle_kinds = [&m.handle_kinds[..], &m.handle_kinds[index..=index]].concat().into();
        });
    }
    with("idle entry", &|m| m.ranges = [&m.ranges[..], &[Box::from([(0, 1)])]].concat().into());
    with("idle entry", &|m| m.callees = [&m.callees[..], &[idle.clone()]].concat().into());
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
    let mut offsets: Vec<usize> = used.flat_map(|at: usize| [at, at + 8]).collect();
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

/// The variants of one op.
struct Fields<'a> {
    op: Op,
    places: &'a [At],
    all: Vec<(&'static str, Op)>,
}

impl Fields<'_> {
    fn each<T>(
        &mut self,
        field: &'static str,
        values: impl IntoIterator<Item = T>,
        f: impl Fn(T) -> Op,
    ) {
        self.all.extend(values.into_iter().map(|value| (field, f(value))));
    }

    fn slots(&mut self, slot: u16, f: impl Fn(u16) -> Op) {
        self.each("slot", numbers(slot), f);
    }

    fn params(&mut self, param: u16, f: impl Fn(u16) -> Op) {
        self.each("param", numbers(param), f);
    }

    fn moved(&mut self, field: &'static str, f: impl Fn(At) -> Op) {
        let places = self.places.to_vec();
        self.each(field, places, f);
    }

    fn nulls(&mut self, f: impl Fn(Null) -> Op) {
        self.each("null", [Null::IfEmpty, Null::Allowed, Null::Refused], f);
    }

    fn maybe_moved(&mut self, field: &'static str, f: impl Fn(Option<At>) -> Op) {
        let places: Vec<Option<At>> = self.places.iter().copied().map(Some).chain([None]).collect();
        self.each(field, places, f);
    }

    fn mutate(&mut self) {
        let op = self.op;
        match op {
            Op::Int8 { slot, to }
            | Op::UInt8 { slot, to }
            | Op::Int16 { slot, to }
            | Op::UInt16 { slot, to }
            | Op::Bool { slot, to }
            | Op::Int32 { slot, to }
            | Op::Int64 { slot, to }
            | Op::Long32 { slot, to }
            | Op::ULong32 { slot, to }
            | Op::Float32 { slot, to }
            | Op::Float64 { slot, to } => {
                let own = SCALARS.into_iter().find(|make| make(slot, to) == op).expect("listed");
                self.each("conversion", SCALARS, |make| make(slot, to));
                self.slots(slot, |slot| own(slot, to));
                self.moved("to", |to| own(slot, to));
            }
            Op::Range { value, set, param } => {
                let operands = operands(value, self.places);
                self.each("operand", operands, |value| Op::Range { value, set, param });
                self.each("entry", numbers(set), |set| Op::Range { value, set, param });
                self.params(param, |param| Op::Range { value, set, param });
            }
            Op::Evaluate { expr, to, param } => {
                self.each("entry", numbers(expr), |expr| Op::Evaluate { expr, to, param });
                self.moved("to", |to| Op::Evaluate { expr, to, param });
                self.params(param, |param| Op::Evaluate { expr, to, param });
            }
            Op::Require { expr } => {
                self.each("entry", numbers(expr), |expr| Op::Require { expr });
            }
            Op::Value { expr, to, width, param } => {
                self.each("entry", numbers(expr), |expr| Op::Value { expr, to, width, param });
                self.moved("to", |to| Op::Value { expr, to, width, param });
                self.each("width", WIDTHS, |width| Op::Value { expr, to, width, param });
                self.params(param, |param| Op::Value { expr, to, width, param });
                let slot = param;
                self.each("conversion", SCALARS, |make| make(slot, to));
            }
            Op::Buffer { slot, to, count, size, align, null, param, extent } => {
                let with = |f: &dyn Fn(&mut BufferParts)| {
                    let mut parts =
                        BufferParts { slot, to, count, size, align, null, param, extent };
                    f(&mut parts);
                    parts.op()
                };
                self.slots(slot, |slot| with(&|b| b.slot = slot));
                self.moved("to", |to| with(&|b| b.to = to));
                let mut counts: Vec<Count> = [0, 1, 2, 8, 256, u32::MAX].map(Count::Exactly).into();
                let operand = match count {
                    Count::Of(operand) => operand,
                    Count::Exactly(_) => Operand { at: to, width: Width::U64 },
                };
                counts.extend(operands(operand, self.places).into_iter().map(Count::Of));
                self.each("count", counts, |count| with(&|b| b.count = count));
                let sizes = [0, 1, 2, 4, 8, 16, size.wrapping_mul(2), u32::MAX];
                self.each("size", sizes, |size| with(&|b| b.size = size));
                self.each("align", [0, 1, 2, 3, 4, 8, 16, 255], |align| with(&|b| b.align = align));
                self.nulls(|null| with(&|b| b.null = null));
                self.each("param", [0, 1, param.wrapping_add(1), 255], |param| {
                    with(&|b| b.param = param)
                });
                self.maybe_moved("extent", |extent| with(&|b| b.extent = extent));
                self.each("conversion", SCALARS, |make| make(slot, to));
            }
            Op::Text { slot, to, unit, null, copy, extent } => {
                let make = |slot, to, unit, null, copy, extent| Op::Text {
                    slot,
                    to,
                    unit,
                    null,
                    copy,
                    extent,
                };
                self.slots(slot, |slot| make(slot, to, unit, null, copy, extent));
                self.moved("to", |to| make(slot, to, unit, null, copy, extent));
                self.each("unit", [0, 1, 2, 3, 4, 8], |unit| {
                    make(slot, to, unit, null, copy, extent)
                });
                self.nulls(|null| make(slot, to, unit, null, copy, extent));
                self.each("copy", [!copy], |copy| make(slot, to, unit, null, copy, extent));
                self.moved("extent", |extent| make(slot, to, unit, null, copy, extent));
                self.each("conversion", SCALARS, |make| make(slot, to));
            }
            Op::Cell { slot, to, cell, guest, host, direction, null } => {
                let make = |slot, to, cell, guest, host, direction, null| Op::Cell {
                    slot,
                    to,
                    cell,
                    guest,
                    host,
                    direction,
                    null,
                };
                self.slots(slot, |slot| make(slot, to, cell, guest, host, direction, null));
                self.moved("to", |to| make(slot, to, cell, guest, host, direction, null));
                self.moved("cell", |cell| make(slot, to, cell, guest, host, direction, null));
                self.each("width", WIDTHS, |guest| {
                    make(slot, to, cell, guest, host, direction, null)
                });
                self.each("width", WIDTHS, |host| {
                    make(slot, to, cell, guest, host, direction, null)
                });
                let directions = [Direction::In, Direction::Out, Direction::InOut];
                self.each("direction", directions, |direction| {
                    make(slot, to, cell, guest, host, direction, null)
                });
                self.nulls(|null| make(slot, to, cell, guest, host, direction, null));
                self.each("kind", [()], |()| Op::PointerCell { slot, to, cell, null });
            }
            Op::PointerCell { slot, to, cell, null } => {
                self.slots(slot, |slot| Op::PointerCell { slot, to, cell, null });
                self.moved("to", |to| Op::PointerCell { slot, to, cell, null });
                self.moved("cell", |cell| Op::PointerCell { slot, to, cell, null });
                self.nulls(|null| Op::PointerCell { slot, to, cell, null });
                self.moved("kind", |extent| Op::TextCell { slot, to, cell, null, extent });
            }
            Op::TextCell { slot, to, cell, null, extent } => {
                self.slots(slot, |slot| Op::TextCell { slot, to, cell, null, extent });
                self.moved("to", |to| Op::TextCell { slot, to, cell, null, extent });
                self.moved("cell", |cell| Op::TextCell { slot, to, cell, null, extent });
                self.nulls(|null| Op::TextCell { slot, to, cell, null, extent });
                self.moved("extent", |extent| Op::TextCell { slot, to, cell, null, extent });
                self.each("kind", [()], |()| Op::PointerCell { slot, to, cell, null });
            }
            Op::Handle { slot, to, kind, null, fate } => {
                self.slots(slot, |slot| Op::Handle { slot, to, kind, null, fate });
                self.moved("to", |to| Op::Handle { slot, to, kind, null, fate });
                self.each("entry", numbers(kind), |kind| Op::Handle { slot, to, kind, null, fate });
                self.nulls(|null| Op::Handle { slot, to, kind, null, fate });
                let fates = [Fate::Kept, Fate::Invalidated, Fate::Consumed];
                self.each("fate", fates, |fate| Op::Handle { slot, to, kind, null, fate });
                self.each("conversion", SCALARS, |make| make(slot, to));
            }
            Op::Apart { text, text_extent, buffer, buffer_extent } => {
                let make = |text, text_extent, buffer, buffer_extent| Op::Apart {
                    text,
                    text_extent,
                    buffer,
                    buffer_extent,
                };
                self.moved("operand", |text| make(text, text_extent, buffer, buffer_extent));
                self.moved("operand", |at| make(text, at, buffer, buffer_extent));
                self.moved("operand", |buffer| make(text, text_extent, buffer, buffer_extent));
                self.moved("operand", |at| make(text, text_extent, buffer, at));
            }
            Op::Reserve { handles } => {
                self.each("handles", numbers(handles), |handles| Op::Reserve { handles });
            }
            Op::Call { stub, returns } => {
                let stubs = [Stub::Integers, Stub::Registers, Stub::Stack];
                self.each("stub", stubs, |stub| Op::Call { stub, returns });
                self.each("returns", RETURNS, |returns| Op::Call { stub, returns });
            }
            Op::Consume { slot, condition } => {
                self.slots(slot, |slot| Op::Consume { slot, condition });
                let conditions =
                    [None, NonZeroU16::new(1), NonZeroU16::new(2), NonZeroU16::new(99)];
                self.each("entry", conditions, |condition| Op::Consume { slot, condition });
            }
            Op::Measure { expr, to } => {
                self.each("entry", numbers(expr), |expr| Op::Measure { expr, to });
                self.moved("to", |to| Op::Measure { expr, to });
            }
            Op::Fits { from, width, param } => {
                let operands = operands(from, self.places);
                self.each("operand", operands, |from| Op::Fits { from, width, param });
                self.each("width", WIDTHS, |width| Op::Fits { from, width, param });
                self.params(param, |param| Op::Fits { from, width, param });
            }
            Op::Inside { from, to, param } => {
                self.moved("operand", |from| Op::Inside { from, to, param });
                self.moved("to", |to| Op::Inside { from, to, param });
                self.params(param, |param| Op::Inside { from, to, param });
                self.each("kind", [()], |()| Op::InsideOr { from, to });
            }
            Op::InsideOr { from, to } => {
                self.moved("operand", |from| Op::InsideOr { from, to });
                self.moved("to", |to| Op::InsideOr { from, to });
                self.params(0, |param| Op::Inside { from, to, param });
            }
            Op::Take { from, take, extent, unless, param } => {
                let make = |from, take, extent, unless, param| Op::Take {
                    from,
                    take,
                    extent,
                    unless,
                    param,
                };
                self.moved("operand", |from| make(from, take, extent, unless, param));
                let takes = [0, 1, take.wrapping_add(1), 255];
                self.each("take", takes, |take| make(from, take, extent, unless, param));
                let mut extents = vec![
                    TakeExtent::Text(1),
                    TakeExtent::Text(2),
                    TakeExtent::Text(4),
                    TakeExtent::Object(1),
                    TakeExtent::Object(4),
                    TakeExtent::Object(8),
                ];
                if let TakeExtent::Counted { count, size } = extent {
                    for size in [0, 1, size.wrapping_add(1), size.wrapping_mul(2)] {
                        extents.push(TakeExtent::Counted { count, size });
                    }
                    for count in operands(count, self.places) {
                        extents.push(TakeExtent::Counted { count, size });
                    }
                }
                self.each("extent", extents, |extent| make(from, take, extent, unless, param));
                self.maybe_moved("unless", |unless| make(from, take, extent, unless, param));
                self.params(param, |param| make(from, take, extent, unless, param));
            }
            Op::FreeNative { from, callee } => {
                self.moved("operand", |from| Op::FreeNative { from, callee });
                self.each("entry", numbers(callee), |callee| Op::FreeNative { from, callee });
            }
            Op::Give { take, to, from, owner, unless, param } => {
                let make = |take, to, from, owner, unless, param| Op::Give {
                    take,
                    to,
                    from,
                    owner,
                    unless,
                    param,
                };
                let takes = [0, 1, take.wrapping_add(1), 255];
                self.each("take", takes, |take| make(take, to, from, owner, unless, param));
                self.moved("to", |to| make(take, to, from, owner, unless, param));
                self.moved("operand", |from| make(take, to, from, owner, unless, param));
                let owners = [
                    Ownership::Guest,
                    Ownership::Static,
                    Ownership::Handle { slot: 0 },
                    Ownership::Handle { slot: 1 },
                    Ownership::Handle { slot: 99 },
                ];
                self.each("owner", owners, |owner| make(take, to, from, owner, unless, param));
                self.maybe_moved("unless", |unless| make(take, to, from, owner, unless, param));
                self.params(param, |param| make(take, to, from, owner, unless, param));
            }
            Op::Adopt { from, to, kind, borrowed, parent } => {
                let make = |from, to, kind, borrowed, parent| Op::Adopt {
                    from,
                    to,
                    kind,
                    borrowed,
                    parent,
                };
                self.moved("operand", |from| make(from, to, kind, borrowed, parent));
                self.moved("to", |to| make(from, to, kind, borrowed, parent));
                self.each("entry", numbers(kind), |kind| make(from, to, kind, borrowed, parent));
                self.each("owner", [!borrowed], |borrowed| make(from, to, kind, borrowed, parent));
                let parents = [None, Slot::new(0), Slot::new(1), Slot::new(99)];
                self.each("owner", parents, |parent| make(from, to, kind, borrowed, parent));
            }
            Op::StoreCell { slot, from, width } => {
                self.slots(slot, |slot| Op::StoreCell { slot, from, width });
                self.moved("operand", |from| Op::StoreCell { slot, from, width });
                self.each("width", WIDTHS, |width| Op::StoreCell { slot, from, width });
            }
            Op::EndLoans { slot } => self.slots(slot, |slot| Op::EndLoans { slot }),
            Op::Return { from, returns } => {
                self.moved("operand", |from| Op::Return { from, returns });
                self.each("returns", RETURNS, |returns| Op::Return { from, returns });
            }
        }
    }
}

/// The fields of a [`Op::Buffer`].
struct BufferParts {
    slot: u16,
    to: At,
    count: Count,
    size: u32,
    align: u8,
    null: Null,
    param: u8,
    extent: Option<At>,
}

impl BufferParts {
    fn op(self) -> Op {
        let BufferParts { slot, to, count, size, align, null, param, extent } = self;
        Op::Buffer { slot, to, count, size, align, null, param, extent }
    }
}
