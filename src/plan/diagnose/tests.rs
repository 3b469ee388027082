//! Every rule that can be broken, broken: hand-made plans over a real memory, frame and handles.
#![expect(unsafe_code, reason = "diagnose takes a frame by its address")]
use super::*;
use crate::plan::binding::{Binding, Limits, StoreBlock};
use crate::plan::expression::{EvaluationError, Expression, Step};
use crate::plan::frame::GuestSlot;
use crate::plan::handles::HandleType;
use crate::plan::op::{Direction, Fate, Slot, Stub};
use crate::plan::{Callee, Facts, HandleKind, Lowering, Purpose, Reading};
use crate::signature::{
    BinaryOp, Function, Ident, Integer, Param, Prototype, Qualifiers, Span, Type, TypeKind,
};
use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;

mod handles;

const MEMORY: u64 = 0x1_0000;
const KIND: HandleType = HandleType(3);
const LOCAL: usize = FrameLayout::STACK;

fn at(offset: usize) -> At {
    At::new(offset).expect("inside the frame")
}

fn ident(name: &str) -> Ident {
    Ident { name: name.into(), span: Span::default() }
}

fn ty(kind: TypeKind) -> Type {
    Type {
        kind,
        quals: Qualifiers::default(),
        notes: Vec::new(),
        alias: None,
        span: Span::default(),
    }
}

/// `int f(const char *first, long, ...)` with as many guest slots as `types`.
fn plan(op: Op, types: &[WasmType]) -> Plan {
    let mut pointee = ty(TypeKind::Integer(Integer::Char));
    pointee.quals.is_const = true;
    let first = ty(TypeKind::Pointer(Box::new(pointee)));
    let params = vec![
        Param { name: Some(ident("first")), ty: first, span: Span::default() },
        Param { name: None, ty: ty(TypeKind::Integer(Integer::Long)), span: Span::default() },
    ];
    let function =
        Function { result: ty(TypeKind::Integer(Integer::Int)), params, variadic: Variadic::No };
    let prototype = Prototype {
        name: ident("f"),
        function,
        notes: Vec::new(),
        span: Span::default(),
        data: None,
    };
    Plan {
        kind: crate::plan::Kind::Import,
        prototype: Arc::new(prototype),
        lowering: Lowering { params: types.to_vec(), results: vec![WasmType::I32] },
        ops: Box::new([op]),
        call: 0,
        frame: FrameLayout { stack: 0, stack_align: 16, locals: 320, size: 320 + 64, align: 16 },
        moves: [].into(),
        shapes: [].into(),
        roots: [].into(),
        records: [].into(),
        slots: (0..u16::try_from(types.len()).expect("few")).collect(),
        expressions: Box::new([]),
        ranges: Box::new([]),
        passed: Box::new([]),
        callees: Box::new([]),
        callbacks: [].into(),
        handle_kinds: Box::new([HandleKind { id: KIND, name: "struct db".into(), drop: None }]),
        names: Box::new([]),
        facts: Facts::default(),
    }
}

#[repr(C, align(16))]
struct Frame {
    head: FrameHead,
    locals: [u8; 64],
}

/// A call that has stopped.
struct Stopped {
    memory: Vec<u8>,
    slots: Vec<GuestSlot>,
    locals: [u8; 64],
    callees: Vec<*const c_void>,
    store: StoreBlock,
    /// What native code left in the first integer register.
    result: u64,
}

impl Stopped {
    fn new(values: &[u64]) -> Stopped {
        let garbage = 0xdead_beef_0000_0000;
        let slot = |value: &u64| GuestSlot { low: value | garbage, high: u64::MAX };
        let whole = |value: &u64| GuestSlot { low: *value, high: u64::MAX };
        Stopped {
            memory: vec![b'x'; usize::try_from(MEMORY).expect("small")],
            slots: values
                .iter()
                .map(|v| if *v > u64::from(u32::MAX) { whole(v) } else { slot(v) })
                .collect(),
            locals: [0; 64],
            callees: Vec::new(),
            store: StoreBlock::new(Limits { handles: 4, copied_bytes: 1000, ..Limits::default() }),
            result: 0,
        }
    }

    fn local(mut self, value: i128) -> Stopped {
        self.locals[..16].copy_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, address: usize, bytes: &[u8]) -> Stopped {
        self.memory[address..address + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn diagnose(mut self, plan: &Plan) -> (Subject, Problem) {
        let binding = Binding {
            target: std::ptr::null(),
            store: &self.store,
            memory_base: Cell::new(self.memory.as_mut_ptr()),
            memory_len: Cell::new(self.memory.len() as u64),
            callees: self.callees.as_ptr(),
            instance: 0,
            errno: Cell::new(0),
        };
        // SAFETY: integers, arrays of them and raw pointers may all be zero.
        let head = unsafe { std::mem::zeroed::<FrameHead>() };
        let mut head = FrameHead { guest: self.slots.as_mut_ptr(), binding: &binding, ..head };
        head.record.integers[0] = self.result;
        let frame = Frame { head, locals: self.locals };
        // SAFETY: the frame is whole, its slots and its binding are alive.
        unsafe { diagnose(plan, 0, std::ptr::from_ref(&frame).cast()) }
    }
}

fn first() -> Subject {
    let ty = "const char *".to_owned();
    Subject::Parameter { number: 1, name: Some("first".to_owned()), ty }
}

fn second() -> Subject {
    Subject::Parameter { number: 2, name: None, ty: "long".to_owned() }
}

fn local(width: Width) -> Operand {
    Operand { at: at(LOCAL), width }
}

/// What is wrong with the one op, on those slots.
fn of(op: Op, values: &[u64]) -> Problem {
    Stopped::new(values).diagnose(&plan(op, &vec![WasmType::I32; values.len()])).1
}

fn counted(count: Count, null: Null) -> Op {
    let to = FrameLayout::integer(0).expect("rdi");
    Op::Buffer { slot: 0, to, count, size: 4, align: 4, null, param: 0, extent: None }
}

#[test]
fn a_buffer_names_the_first_rule_that_it_breaks() {
    let of_local = |null| counted(Count::Of(local(Width::I32)), null);
    let stopped = |address: u64, count: i128, null| {
        let plan = plan(of_local(null), &[WasmType::I32]);
        let (subject, problem) = Stopped::new(&[address]).local(count).diagnose(&plan);
        assert_eq!(subject, first());
        problem
    };
    let outside = |bytes, address| Problem::OutOfBounds { bytes, address, memory: MEMORY };
    assert_eq!(stopped(0x100, -1, Null::IfEmpty), Problem::NegativeCount { count: -1 });
    assert_eq!(stopped(0, 1, Null::IfEmpty), Problem::Null);
    assert_eq!(stopped(0, 0, Null::Refused), Problem::Null);
    assert_eq!(stopped(0xfffc, 2, Null::IfEmpty), outside(8, 0xfffc));
    assert_eq!(stopped(0xffff_fffc, 1, Null::Allowed), outside(4, 0xffff_fffc));
    let most = i128::from(i32::MAX);
    assert_eq!(
        stopped(4, most, Null::IfEmpty),
        outside(4 * u128::from(i32::MAX.unsigned_abs()), 4)
    );
    assert_eq!(stopped(2, 1, Null::IfEmpty), Problem::Misaligned { address: 2, align: 4 });
}

#[test]
fn a_buffer_that_breaks_no_rule_is_not_accused() {
    let of_local = |null| counted(Count::Of(local(Width::U32)), null);
    for (address, count, null) in [
        (0, 0, Null::IfEmpty),
        (0, 9, Null::Allowed),
        (0xffff_fffe, 0, Null::Refused),
        (0xfffc, 1, Null::Refused),
        (0, 0, Null::Allowed),
    ] {
        let plan = plan(of_local(null), &[WasmType::I32]);
        let (_, problem) = Stopped::new(&[address]).local(count).diagnose(&plan);
        assert_eq!(problem, Problem::Changed, "{count} at {address:#x}");
    }
}

#[test]
fn addresses_have_the_width_of_their_slot() {
    let huge = u64::MAX - 3;
    let plan = plan(counted(Count::Exactly(1), Null::IfEmpty), &[WasmType::I64]);
    let (_, problem) = Stopped::new(&[huge]).diagnose(&plan);
    assert_eq!(problem, Problem::OutOfBounds { bytes: 4, address: huge, memory: MEMORY });
}

#[test]
fn strings_end_inside_the_memory() {
    let text = |unit, null, copy| {
        let to = at(16);
        Op::Text { slot: 0, to, unit, null, copy, extent: at(LOCAL) }
    };
    let (subject, problem) = Stopped::new(&[8])
        .bytes(100, &[0])
        .diagnose(&plan(text(2, Null::Refused, false), &[WasmType::I32]));
    assert_eq!((subject, problem), (first(), Problem::Unterminated { address: 8, memory: MEMORY }));
    let plain = text(1, Null::Refused, false);
    assert_eq!(of(plain, &[0]), Problem::Null);
    assert_eq!(of(text(1, Null::Allowed, false), &[0]), Problem::Changed);
    let past = Problem::OutOfBounds { bytes: 1, address: MEMORY, memory: MEMORY };
    assert_eq!(of(plain, &[MEMORY]), past);
    let odd = Stopped::new(&[9])
        .bytes(101, &[0, 0])
        .diagnose(&plan(text(2, Null::Refused, false), &[WasmType::I32]));
    assert_eq!(odd.1, Problem::Misaligned { address: 9, align: 2 });
    let long = Stopped::new(&[8])
        .bytes(5000, &[0])
        .diagnose(&plan(text(1, Null::Refused, true), &[WasmType::I32]));
    assert_eq!(long.1, Problem::Limit { limit: "copied_bytes", value: 1000 });
}

#[test]
fn cells_lie_inside_and_their_values_fit() {
    let cell = |direction, null| Op::Cell {
        slot: 0,
        to: at(16),
        cell: at(LOCAL),
        guest: Width::U64,
        host: Width::U32,
        direction,
        null,
    };
    let inside = |op| Stopped::new(&[16]).diagnose(&plan(op, &[WasmType::I32])).1;
    let value = i128::from(u64::from_le_bytes([b'x'; 8]));
    assert_eq!(
        inside(cell(Direction::In, Null::Refused)),
        Problem::DoesNotFit { value, width: Width::U32 }
    );
    assert_eq!(inside(cell(Direction::Out, Null::Refused)), Problem::Changed);
    assert_eq!(of(cell(Direction::Out, Null::Refused), &[0]), Problem::Null);
    let past = Problem::OutOfBounds { bytes: 8, address: MEMORY - 7, memory: MEMORY };
    assert_eq!(of(cell(Direction::Out, Null::Refused), &[MEMORY - 7]), past);
}

#[test]
fn pointer_cells_have_the_size_of_the_guests_pointers() {
    let op = Op::PointerCell { slot: 0, to: at(16), cell: at(LOCAL), null: Null::Refused };
    let past = |bytes| Problem::OutOfBounds { bytes, address: MEMORY - 3, memory: MEMORY };
    assert_eq!(of(op, &[MEMORY - 3]), past(4));
    let wide = Stopped::new(&[(1 << 40) + 1]).diagnose(&plan(op, &[WasmType::I64])).1;
    assert_eq!(wide, Problem::OutOfBounds { bytes: 8, address: (1 << 40) + 1, memory: MEMORY });

    let op = Op::TextCell {
        slot: 0,
        to: at(16),
        cell: at(LOCAL),
        null: Null::Refused,
        extent: at(LOCAL + 8),
    };
    let end = (u32::try_from(MEMORY).expect("small") - 2).to_le_bytes();
    let open = Stopped::new(&[8]).bytes(8, &end).diagnose(&plan(op, &[WasmType::I32]));
    assert_eq!(open.1, Problem::Unterminated { address: MEMORY - 2, memory: MEMORY });
    let null = Stopped::new(&[8]).bytes(8, &[0; 4]).diagnose(&plan(op, &[WasmType::I32]));
    assert_eq!(null.1, Problem::Changed);
}

#[test]
fn an_instance_without_memory_is_told_so() {
    let mut stopped = Stopped::new(&[8]);
    stopped.memory = Vec::new();
    let plan = plan(counted(Count::Exactly(1), Null::IfEmpty), &[WasmType::I32]);
    let binding = Binding {
        target: std::ptr::null(),
        store: &stopped.store,
        memory_base: Cell::new(std::ptr::null_mut()),
        memory_len: Cell::new(0),
        callees: std::ptr::null(),
        instance: 0,
        errno: Cell::new(0),
    };
    // SAFETY: integers, arrays of them and raw pointers may all be zero.
    let head = unsafe { std::mem::zeroed::<FrameHead>() };
    let head = FrameHead { guest: stopped.slots.as_mut_ptr(), binding: &binding, ..head };
    let frame = Frame { head, locals: [0; 64] };
    // SAFETY: the frame is whole, its slots and its binding are alive.
    let (_, problem) = unsafe { diagnose(&plan, 0, std::ptr::from_ref(&frame).cast()) };
    assert!(matches!(problem, Problem::NoMemory { .. }), "{problem:?}");
}

#[test]
fn values_and_conditions() {
    let mut ranged = plan(Op::Range { value: local(Width::I32), set: 0, param: 1 }, &[]);
    ranged.ranges = Box::new([Box::new([(0, 3), (7, 7)])]);
    let on = |plan: &Plan, value| Stopped::new(&[]).local(value).diagnose(plan);
    let bad = Problem::OutOfRange { value: -1, ranges: vec![(0, 3), (7, 7)] };
    assert_eq!(on(&ranged, -1), (second(), bad));
    assert_eq!(on(&ranged, 7).1, Problem::Changed);

    let steps =
        [Step::Constant(100), Step::Load(local(Width::I64)), Step::Binary(BinaryOp::Divide)];
    let expression = Expression { steps: steps.into(), text: "100 / n".into() };
    let with = |op| Plan { expressions: Box::new([expression.clone()]), ..plan(op, &[]) };
    let text = || "100 / n".to_owned();
    // The frame of this plan has no argument at the place that the expression reads.
    let error = EvaluationError::DivisionByZero;
    let divided = Problem::Expression { text: text(), error, read: Vec::new() };
    let evaluate = with(Op::Evaluate { expr: 0, to: at(LOCAL + 16), param: 1 });
    assert_eq!(on(&evaluate, 0), (second(), divided.clone()));
    let require = with(Op::Require { expr: 0, of: None });
    assert_eq!(on(&require, 0), (Subject::Call, divided));
    assert_eq!(
        on(&require, 101),
        (Subject::Call, Problem::Requirement { text: text(), read: Vec::new() })
    );
    assert_eq!(on(&require, 5).1, Problem::Changed);
    let ranged = Ranged { value: local(Width::I64), param: 1 };
    let require = with(Op::Require { expr: 0, of: Some(ranged) });
    let bad = Problem::OutOfComputedRange { value: 101, ranges: Vec::new(), read: Vec::new() };
    assert_eq!(on(&require, 101), (second(), bad));
    let value = with(Op::Value { expr: 0, to: at(16), width: Width::U8, param: 0 });
    let bad = Problem::DoesNotFit { value: -100, width: Width::U8 };
    assert_eq!(on(&value, -1), (first(), bad));
    let fits = plan(Op::Fits { from: local(Width::I64), width: Width::U32, param: 2 }, &[]);
    let bad = Problem::DoesNotFit { value: -1, width: Width::U32 };
    assert_eq!(on(&fits, -1), (Subject::Result { ty: "int".to_owned() }, bad));
}

#[test]
fn what_an_expression_reads_is_told_once_and_by_name_and_no_handle_of_it() {
    let [own, cell, handle] = [LOCAL, LOCAL + 8, LOCAL + 16].map(at);
    let of = |at, width| Step::Load(Operand { at, width });
    let times = Step::Binary(BinaryOp::Multiply);
    let steps = [
        of(cell, Width::I64),
        of(own, Width::I64),
        times,
        of(own, Width::I64),
        times,
        of(handle, Width::U64),
        times,
    ];
    let mut plan = plan(Op::Require { expr: 0, of: None }, &[]);
    plan.expressions = Box::new([Expression { steps: steps.into(), text: "e".into() }]);
    let (guest, host, null) = (Width::I32, Width::I64, Null::Refused);
    let to = FrameLayout::integer(3).expect("a register");
    let direction = Direction::In;
    plan.ops = Box::new([
        plan.ops[0],
        Op::Int64 { slot: 0, to: own },
        Op::Cell { slot: 0, to, cell, guest, host, direction, null },
        Op::Handle { slot: 0, to: handle, kind: 0, null, fate: Fate::Kept },
    ]);
    let (_, problem) = Stopped::new(&[]).local(-7).diagnose(&plan);
    let reading = |name: &str, value| Reading { name: name.to_owned(), value };
    let read = vec![reading("*first", -1), reading("first", -7)];
    assert_eq!(problem, Problem::Requirement { text: "e".to_owned(), read });
    assert_eq!(problem.to_string(), "the call requires `e`, but *first = -1, first = -7");
}

#[test]
fn pure_functions_are_called_again_with_what_their_types_hold() {
    extern "C" fn halve(value: i32, by: u64) -> i16 {
        i16::try_from(value / 2).unwrap_or_default() - i16::try_from(by).unwrap_or_default()
    }
    let steps =
        [Step::Load(local(Width::I64)), Step::Constant(5), Step::Call { callee: 0, arguments: 2 }];
    let params = [Width::I32, Width::U64];
    let mut plan = plan(Op::Value { expr: 0, to: at(16), width: Width::U8, param: 0 }, &[]);
    plan.expressions = Box::new([Expression { steps: steps.into(), text: "half(n)".into() }]);
    plan.callees = Box::new([Callee {
        symbol: "half".into(),
        purpose: Purpose::Pure { params: params.into(), result: Width::I16 },
    }]);
    let mut stopped = Stopped::new(&[]).local(-40);
    stopped.callees = vec![halve as *const c_void];
    let bad = Problem::DoesNotFit { value: -25, width: Width::U8 };
    assert_eq!(stopped.diagnose(&plan).1, bad);
}

#[test]
fn what_comes_after_the_call() {
    let limit = Problem::Limit { limit: "copied_bytes", value: 1000 };
    let from = FrameLayout::result_integer();
    let take = |extent| Op::Take { from, take: 0, extent, unless: None, param: 9 };
    let some = TakeExtent::Counted { count: local(Width::I128), size: 8 };
    let on = |value| Stopped::new(&[]).local(value).diagnose(&plan(take(some), &[]));
    let result = || Subject::Result { ty: "int".to_owned() };
    assert_eq!(on(-3), (result(), Problem::NegativeCount { count: -3 }));
    assert_eq!(on(126), (result(), limit.clone()));
    assert_eq!(on(125).1, Problem::Changed);
    assert_eq!(of(take(TakeExtent::Text(1)), &[]), limit);
    assert_eq!(of(Op::Inside { from, to: at(LOCAL), param: 2 }, &[]), Problem::Unreachable);
    let full = Problem::Limit { limit: "handles", value: 4 };
    assert_eq!(of(Op::Reserve { handles: 5 }, &[]), full);
}

#[test]
fn a_long_result_fits_or_is_named() {
    let returning = |returns, raw: u64| {
        let plan = plan(Op::Call { stub: Stub::Integers, returns }, &[]);
        let mut stopped = Stopped::new(&[]);
        stopped.result = raw;
        stopped.diagnose(&plan)
    };
    let result = || Subject::Result { ty: "int".to_owned() };
    let bad = |value, width| (result(), Problem::DoesNotFit { value, width });
    assert_eq!(returning(Returns::Long32, 1 << 31), bad(1 << 31, Width::I32));
    assert_eq!(returning(Returns::ULong32, u64::MAX), bad(u64::MAX.into(), Width::U32));
    assert_eq!(returning(Returns::Long32, u64::MAX).1, Problem::Changed);
    assert_eq!(returning(Returns::ULong32, u64::from(u32::MAX)).1, Problem::Changed);
}
