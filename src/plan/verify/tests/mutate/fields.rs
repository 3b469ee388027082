//! One op with another value in one of its fields.
use super::{WIDTHS, numbers, operands};
use crate::plan::op::{
    At, Boxing, Count, Datum, DeepOp, Direction, Fate, HandleField, Null, Op, Operand, Ownership,
    Ranged, Returns, Slot, Stub, TakeExtent, Width,
};
use std::num::NonZeroU16;

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

pub(super) const RETURNS: [Returns; 13] = [
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

mod life;

/// The variants of one op.
pub(super) struct Fields<'a> {
    pub(super) op: Op,
    pub(super) places: &'a [At],
    pub(super) all: Vec<(&'static str, Op)>,
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

    pub(super) fn mutate(&mut self) {
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
            Op::Require { expr, of } => {
                self.each("entry", numbers(expr), |expr| Op::Require { expr, of });
                self.each("kind", [None], |of| Op::Require { expr, of });
                if let Some(Ranged { value, param }) = of {
                    let operands = operands(value, self.places);
                    let make =
                        |value, param| Op::Require { expr, of: Some(Ranged { value, param }) };
                    self.each("operand", operands, |value| make(value, param));
                    self.params(param, |param| make(value, param));
                }
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
                let data =
                    [Datum::Address, Datum::Integer(1), Datum::Integer(2), Datum::Integer(4)];
                let data = [&data[..], &[Datum::Integer(8), Datum::Vector(4), Datum::Vector(8)]];
                let data = data.concat().into_iter().map(Stub::Data);
                let stubs = [Stub::Integers, Stub::Registers, Stub::Stack].into_iter().chain(data);
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
                    Ownership::Handle { slot: 0, back: false },
                    Ownership::Handle { slot: 0, back: true },
                    Ownership::Handle { slot: 1, back: false },
                    Ownership::Handle { slot: 1, back: true },
                    Ownership::Handle { slot: 99, back: false },
                    Ownership::Handle { slot: 99, back: true },
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
            Op::Pair { slot, to } => {
                self.slots(slot, |slot| Op::Pair { slot, to });
                self.moved("to", |to| Op::Pair { slot, to });
                self.each("op", [Op::Extended { slot, to }, Op::Vector { slot, to }], |op| op);
            }
            Op::Extended { slot, to } => {
                self.slots(slot, |slot| Op::Extended { slot, to });
                self.moved("to", |to| Op::Extended { slot, to });
                self.each("op", [Op::Pair { slot, to }], |op| op);
            }
            Op::Vector { slot, to } => {
                self.slots(slot, |slot| Op::Vector { slot, to });
                self.moved("to", |to| Op::Vector { slot, to });
                self.each("op", [Op::Pair { slot, to }], |op| op);
            }
            Op::Object { slot, size, moves } => {
                self.slots(slot, |slot| Op::Object { slot, size, moves });
                let sizes = [size.wrapping_sub(1), size.wrapping_add(1), 0, u32::MAX];
                self.each("size", sizes, |size| Op::Object { slot, size, moves });
                self.each("entry", numbers(moves), |moves| Op::Object { slot, size, moves });
            }
            Op::Address { of, to, zeroed } => {
                self.moved("operand", |of| Op::Address { of, to, zeroed });
                self.moved("to", |to| Op::Address { of, to, zeroed });
                let other = [zeroed.wrapping_sub(1), zeroed.wrapping_add(1), 0].into_iter();
                let other = other.filter(|other| *other != zeroed);
                self.each("zeroed", other, |zeroed| Op::Address { of, to, zeroed });
            }
            Op::Room { slot, size } => {
                self.slots(slot, |slot| Op::Room { slot, size });
                self.each("size", [size.wrapping_sub(1), size.wrapping_add(1), 0], |size| {
                    Op::Room { slot, size }
                });
            }
            Op::Format { text, extent, param } => {
                self.moved("operand", |text| Op::Format { text, extent, param });
                self.moved("operand", |extent| Op::Format { text, extent, param });
                self.params(param, |param| Op::Format { text, extent, param });
            }
            Op::FitsObject { moves } => {
                self.each("entry", numbers(moves), |moves| Op::FitsObject { moves });
            }
            Op::StoreObject { slot, moves } => {
                self.slots(slot, |slot| Op::StoreObject { slot, moves });
                self.each("entry", numbers(moves), |moves| Op::StoreObject { slot, moves });
            }
            // Plans without a guest are mutated in a test of their own.
            Op::Deep(DeepOp::Copy { slot, to, root, param }) => {
                let op = |slot, to, root, param| Op::Deep(DeepOp::Copy { slot, to, root, param });
                self.slots(slot, |slot| op(slot, to, root, param));
                self.moved("to", |to| op(slot, to, root, param));
                self.each("root", numbers(root), |root| op(slot, to, root, param));
                self.params(param, |param| op(slot, to, root, param));
            }
            Op::Deep(DeepOp::Take { from, take, root, unless, param }) => {
                let op = |from, take, root, unless, param| {
                    Op::Deep(DeepOp::Take { from, take, root, unless, param })
                };
                self.moved("operand", |from| op(from, take, root, unless, param));
                let takes = [take.wrapping_add(1), take.wrapping_sub(1)];
                self.each("take", takes, |take| op(from, take, root, unless, param));
                self.each("root", numbers(root), |root| op(from, take, root, unless, param));
                self.maybe_moved("unless", |unless| op(from, take, root, unless, param));
                self.params(param, |param| op(from, take, root, unless, param));
            }
            Op::Deep(DeepOp::Box { slot, to, root, kind, field, boxing, alone, param }) => {
                let op = |slot, to, root, kind, field, boxing, alone, param| {
                    Op::Deep(DeepOp::Box { slot, to, root, kind, field, boxing, alone, param })
                };
                let with =
                    |field, boxing, alone| op(slot, to, root, kind, field, boxing, alone, param);
                self.slots(slot, |slot| op(slot, to, root, kind, field, boxing, alone, param));
                self.moved("to", |to| op(slot, to, root, kind, field, boxing, alone, param));
                self.each("root", numbers(root), |root| {
                    op(slot, to, root, kind, field, boxing, alone, param)
                });
                self.each("entry", numbers(kind), |kind| {
                    op(slot, to, root, kind, field, boxing, alone, param)
                });
                let HandleField { at, bytes } = field;
                let fields = [at ^ 4, at.wrapping_add(4), at.wrapping_add(1), 0]
                    .map(|at| HandleField { at, bytes });
                let sizes = [0, 1, 4, 8, 255].map(|bytes| HandleField { at, bytes });
                self.each("field", fields, |field| with(field, boxing, alone));
                self.each("field", sizes, |field| with(field, boxing, alone));
                let all = [Boxing::Made, Boxing::Used, Boxing::Ended, Boxing::EndedIf];
                self.each("boxing", all, |boxing| with(field, boxing, alone));
                self.each("alone", [!alone], |alone| with(field, boxing, alone));
                self.params(param, |param| op(slot, to, root, kind, field, boxing, alone, param));
            }
            Op::Deep(DeepOp::Recall { of, name, to }) => {
                let op = |of, name, to| Op::Deep(DeepOp::Recall { of, name, to });
                self.moved("operand", |of| op(of, name, to));
                self.each("name", numbers(name), |name| op(of, name, to));
                self.moved("to", |to| op(of, name, to));
            }
            Op::Deep(DeepOp::End { of, condition }) => {
                let op = |of, condition| Op::Deep(DeepOp::End { of, condition });
                self.moved("operand", |of| op(of, condition));
                self.each("condition", numbers(condition), |condition| op(of, condition));
            }
            Op::Deep(DeepOp::Settle | DeepOp::Commit | DeepOp::Fill | DeepOp::Fetch) => {}
            Op::Deep(DeepOp::Keep { at, root, param }) => {
                self.moved("at", |at| Op::Deep(DeepOp::Keep { at, root, param }));
                let roots = numbers(root);
                self.each("root", roots, |root| Op::Deep(DeepOp::Keep { at, root, param }));
                self.params(param, |param| Op::Deep(DeepOp::Keep { at, root, param }));
            }
            Op::Deep(DeepOp::KeepFunctions { made }) => {
                self.maybe_moved("made", |made| Op::Deep(DeepOp::KeepFunctions { made }));
                let other = if made.is_some() { None } else { At::new(328) };
                self.each("made", [other], |made| Op::Deep(DeepOp::KeepFunctions { made }));
            }
            Op::Callback(op) => self.callback(op),
            Op::Life(op) => self.life(op),
            Op::Native(_) | Op::Upcall(_) => {}
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
