//! Parameters: what each one means (DESIGN 5.2), as ops.
use super::expression::{When, integer_width, width_of};
use super::life::{captor_of, is_descriptor, is_descriptor_cell};
use super::lower::{Crossing, Lowered};
use super::reads::is_read;
use super::values::value_note;
use super::{Compiler, Range, fate_of};
use crate::plan::WasmType;
use crate::plan::abi::Assignment;
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{At, Count, Direction, Fate, Null, Op, Operand, Width};
use crate::signature::{Float, Integer, NoteKind, Param, Record, Type, TypeKind, Variadic};
use std::sync::Arc;

/// What a pointer parameter points at.
pub(super) enum Pointee<'t> {
    /// An object that only native code knows.
    Opaque(&'t Record),
    /// Elements of so many bytes, counted by an annotation.
    Counted(&'t NoteKind),
    /// A string.
    Text,
    /// One integer.
    Integer(Scalar),
    /// A pointer that native code fills in.
    Pointer,
    /// Nothing: an integer of the guest.
    Cookie,
    /// Bytes of which nothing more is said.
    Bytes,
    /// One object that is the same bytes on both sides.
    Plain { size: u32, align: u8 },
    /// Something that native code gets as a copy.
    Deep,
    /// A function.
    Code,
    /// Something that plans cannot do yet.
    Later(&'static str),
}

impl<'a> Compiler<'a> {
    /// Ops for every parameter.
    pub(super) fn params(&mut self, assignment: &Assignment, lowered: &Lowered) {
        self.stack = usize::try_from(assignment.stack_size).unwrap_or(usize::MAX);
        if self.stack > super::MAX_STACK_AREA {
            let span = self.prototype.span;
            let limit = super::MAX_STACK_AREA;
            self.error(
                span,
                format!("more than {limit} bytes of arguments on the stack"),
                "pass fewer parameters, or a pointer to a struct",
            );
            return;
        }
        self.stack = self.stack.next_multiple_of(16);
        let all = Arc::clone(&self.all);
        self.copies = (0..all.len()).any(|index| matches!(self.argument(index), Pointee::Deep));
        let mut places = Vec::with_capacity(all.len());
        // First what expressions may read: scalars, handles, cells.
        for (index, param) in all.iter().enumerate() {
            let (Some(value), Some(crossing)) =
                (assignment.params.get(index), lowered.params.get(index))
            else {
                return;
            };
            self.check_members(&param.ty, *crossing, value);
            let to = match crossing {
                Crossing::Scalar(scalar) => {
                    let Some(piece) = value.pieces.first() else { return };
                    let Some(to) = self.place(piece.location, param) else { return };
                    let slot = usize::from(self.slots[index]);
                    let wasm = lowered.lowering.params.get(slot).copied();
                    self.readable(index, param, *scalar, to, wasm.unwrap_or(WasmType::I32));
                    Some(to)
                }
                Crossing::Nothing | Crossing::Two(_) | Crossing::Vector | Crossing::Address => {
                    self.by_value(index, param, *crossing, value);
                    None
                }
            };
            places.push(to);
        }
        let scalars = || {
            let placed = all.iter().zip(&places).enumerate();
            placed.filter_map(|(index, (param, to))| Some((index, param, (*to)?)))
        };
        // Then what reads them: first arguments that others may read again.
        for (index, param, to) in scalars() {
            self.computed(index, param, to);
        }
        for (index, param, to) in scalars() {
            self.ranges(index, &param.ty);
            if let Some(pointee) = param.ty.pointee()
                && self.params[index].pointee.is_some()
            {
                self.ranges(index, pointee);
            }
            self.pointer(index, param, to);
        }
        let prototype = self.prototype;
        for note in &prototype.notes {
            if let NoteKind::Requires(expr) = &note.kind
                && let Some(expr) = self.expression(expr, When::Before)
            {
                self.before.conditions.push(Op::Require { expr, of: None });
            }
        }
    }

    /// Scalars, handles and cells.
    fn readable(&mut self, index: usize, param: &Param, scalar: Scalar, to: At, wasm: WasmType) {
        let slot = self.slots[index];
        if scalar != Scalar::Pointer {
            return self.scalar(slot, index, param, scalar, to, wasm);
        }
        let read = is_read(self.prototype, index);
        match self.argument(index) {
            Pointee::Opaque(record) => self.handle(index, param, record, to),
            Pointee::Integer(_) if is_descriptor_cell(&param.ty) => {
                self.descriptor_behind(index, param, to);
            }
            Pointee::Integer(scalar) => self.integer_behind(index, param, scalar, to),
            Pointee::Deep if read => self.copy(index, self.ty(index), to, true),
            _ => {}
        }
    }

    fn scalar(
        &mut self,
        slot: u16,
        index: usize,
        param: &Param,
        scalar: Scalar,
        to: At,
        wasm: WasmType,
    ) {
        if is_descriptor(&param.ty) {
            return self.descriptor(index, param, to);
        }
        let abi = self.target.abi;
        if let Some(width) = integer_width(scalar, abi) {
            if value_note(&param.ty).is_some() {
                return; // see `computed`
            }
            self.remember_value(index, to, width);
        }
        let signed = abi.is_signed(scalar);
        let op = match (scalar, scalar.host_size(), wasm) {
            (Scalar::Bool, ..) => Op::Bool { slot, to },
            (Scalar::Float(Float::Float), ..) => Op::Float32 { slot, to },
            (Scalar::Float(Float::Double), ..) => Op::Float64 { slot, to },
            (_, 1, _) if signed => Op::Int8 { slot, to },
            (_, 1, _) => Op::UInt8 { slot, to },
            (_, 2, _) if signed => Op::Int16 { slot, to },
            (_, 2, _) => Op::UInt16 { slot, to },
            (_, 4, _) => Op::Int32 { slot, to },
            (_, 8, WasmType::I64) => Op::Int64 { slot, to },
            (_, 8, _) if signed => Op::Long32 { slot, to },
            (_, 8, _) => Op::ULong32 { slot, to },
            _ => {
                self.later(param.span, "this type by value");
                return;
            }
        };
        self.before.scalars.push(op);
    }

    fn handle(&mut self, index: usize, param: &Param, record: &Record, to: At) {
        let slot = self.slots[index];
        let kind = self.kind(record);
        // NULL lends nothing: that is told before the call, whatever the type allows.
        let null = if self.lends(param) { Null::Refused } else { uncounted_null(&param.ty) };
        let fate = fate_of(param);
        let op = Op::Handle { slot, to, kind, null, fate };
        if fate == Fate::Kept {
            self.before.handles.push(op);
        } else {
            self.before.taken.push(op);
        }
        self.remember_value(index, to, Width::U64);
        self.params[index].handle = true;
        self.asked_of_handle(index, param);
    }

    /// One integer behind a pointer: in place when the layouts agree and no bound depends on it,
    /// else through a cell of the call.
    fn integer_behind(&mut self, index: usize, param: &Param, scalar: Scalar, to: At) {
        let Some(pointee) = param.ty.pointee() else { return };
        let (model, abi) = (self.target.model, self.target.abi);
        let signed = abi.is_signed(scalar);
        let widths =
            (width_of(scalar.guest_size(model), signed), width_of(scalar.host_size(), signed));
        let (Some(guest), Some(host)) = widths else { return };
        let ranged = pointee.has(|note| matches!(note, NoteKind::Range(..)));
        let direction = direction(&param.ty, pointee);
        if guest == host && !ranged && !is_read(self.prototype, index) {
            return; // in place: see `pointer`
        }
        let slot = self.slots[index];
        let cell = self.local(8);
        let null = uncounted_null(&param.ty);
        self.before.cells.push(Op::Cell { slot, to, cell, guest, host, direction, null });
        self.params[index].pointee = Some(Operand { at: cell, width: host });
        if direction.is_out() {
            let from = Operand { at: cell, width: host };
            if guest != host {
                let param = super::index_of(index);
                self.after.checks.push(Op::Fits { from, width: guest, param });
            }
            self.after.store.push(Op::StoreCell { slot, from: cell, width: guest });
        }
    }

    /// Pointers whose bounds may depend on what `readable` has placed.
    fn pointer(&mut self, index: usize, param: &Param, to: At) {
        let slot = self.slots[index];
        let Some(pointee) = param.ty.pointee() else { return };
        if self.is_kept(param) {
            return self.kept(index, param, pointee, to);
        }
        let read = is_read(self.prototype, index);
        match self.argument(index) {
            Pointee::Opaque(_) => {}
            Pointee::Cookie => self.cookie(index, &param.ty, to),
            Pointee::Code => self.callback(index, param, to),
            Pointee::Integer(_) if is_descriptor_cell(&param.ty) => {}
            Pointee::Plain { size, align } => self.in_place(index, param, pointee, size, align, to),
            Pointee::Deep if read => {} // see `readable`
            Pointee::Deep => self.copy(index, self.ty(index), to, false),
            Pointee::Later(what) => self.later(param.span, what),
            Pointee::Bytes => {
                let name = param.name.as_ref().map_or("the parameter", |name| &*name.name);
                let message = format!("`{name}` has no size");
                self.error(param.span, message, "write `__sized_by(n)` after its `*`");
            }
            Pointee::Counted(note) => {
                self.counted(index, param, pointee, note, to);
            }
            Pointee::Text => self.text(index, param, pointee, to),
            Pointee::Integer(scalar) => {
                if self.params[index].pointee.is_none() {
                    let size = scalar.host_size();
                    let align = u8::try_from(size).unwrap_or(1);
                    self.in_place(index, param, pointee, size, align, to);
                }
            }
            Pointee::Pointer => {
                let changes = |note: &NoteKind| {
                    use NoteKind::{Consumes, ConsumesIf, Retains};
                    matches!(note, Consumes | ConsumesIf(_) | Retains)
                };
                if let Some(note) = param.ty.notes.iter().find(|note| changes(&note.kind)) {
                    self.later(note.span, "handles behind a pointer that change their owner");
                    return;
                }
                let cell = self.local(8);
                let null = uncounted_null(&param.ty);
                let direction = direction(&param.ty, pointee);
                if direction.is_in() && param.ty.has(|n| *n == NoteKind::Inout) {
                    let extent = self.local(8);
                    self.texts.push(Range { at: cell, extent });
                    self.before.pointers.push(Op::TextCell { slot, to, cell, null, extent });
                } else {
                    self.before.pointers.push(Op::PointerCell { slot, to, cell, null });
                }
                if let Some(inner) = self.ty(index).pointee() {
                    self.pointer_out(index, inner, cell);
                }
            }
        }
    }

    fn in_place(
        &mut self,
        index: usize,
        param: &Param,
        pointee: &Type,
        size: u32,
        align: u8,
        to: At,
    ) {
        let slot = self.slots[index];
        let extent = (!pointee.quals.is_const).then(|| self.writable(to));
        self.before.pointers.push(Op::Buffer {
            slot,
            to,
            count: Count::Exactly(1),
            size,
            align,
            null: uncounted_null(&param.ty),
            param: super::param_of(index),
            extent,
        });
    }

    fn counted(&mut self, index: usize, param: &Param, pointee: &Type, note: &NoteKind, to: At) {
        let slot = self.slots[index];
        let (expr, by_bytes, or_null) = match note {
            NoteKind::CountedBy(expr) => (expr, false, false),
            NoteKind::CountedByOrNull(expr) => (expr, false, true),
            NoteKind::SizedBy(expr) => (expr, true, false),
            _ => return,
        };
        let (size, align) = if pointee.kind == TypeKind::Void {
            (1, 1)
        } else {
            // Others are copied: see `pointee`.
            let Some(extent) = self.plain(pointee, false) else { return };
            let size = if by_bytes { 1 } else { u32::try_from(extent.size).unwrap_or(1) };
            (size, u8::try_from(extent.align).unwrap_or(1))
        };
        if is_descriptor(pointee) {
            self.error(
                pointee.span,
                "descriptors in arrays do not become handles",
                "pass one at a time, or wrap the function",
            );
        }
        let Some(count) = self.count(expr, super::index_of(index)) else { return };
        let null = if param.ty.has(|n| *n == NoteKind::Nonnull) {
            Null::Refused
        } else if or_null {
            Null::Allowed
        } else {
            Null::IfEmpty
        };
        let extent = (!pointee.quals.is_const).then(|| self.writable(to));
        let param = super::param_of(index);
        let op = Op::Buffer { slot, to, count, size, align, null, param, extent };
        self.before.pointers.push(op);
    }

    fn text(&mut self, index: usize, param: &Param, pointee: &Type, to: At) {
        let Some(scalar) = scalar_of(pointee) else { return };
        let is_const = pointee.quals.is_const;
        let unit = u8::try_from(scalar.host_size()).unwrap_or(1);
        let extent = self.local(8);
        let slot = self.slots[index];
        let null = uncounted_null(&param.ty);
        // A function that may call back gets a copy: the guest could change the string meanwhile.
        let copy = is_const && (!self.target.leaf || self.copies);
        self.before.pointers.push(Op::Text { slot, to, unit, null, copy, extent });
        if !is_const {
            self.writable.push(Range { at: to, extent });
        } else if !copy {
            self.texts.push(Range { at: to, extent });
        }
    }

    /// Notes that native code may write to the range whose address is at `to`; its length goes to
    /// the place that this returns.
    fn writable(&mut self, to: At) -> At {
        let extent = self.local(8);
        self.writable.push(Range { at: to, extent });
        extent
    }

    /// The type of a parameter, those of a typed tail after the named ones.
    pub(super) fn ty(&self, index: usize) -> &'a Type {
        let function = &self.prototype.function;
        let tail = match &function.variadic {
            Variadic::Typed(tail) => tail.as_slice(),
            Variadic::No | Variadic::Untyped(_) => &[],
        };
        match function.params.get(index) {
            Some(param) => &param.ty,
            None => &tail[index - function.params.len()],
        }
    }

    /// How a pointer parameter is made.
    pub(super) fn argument(&self, index: usize) -> Pointee<'a> {
        let ty = self.ty(index);
        let found = self.passed(index);
        let kept = captor_of(ty).is_some() && !matches!(found, Pointee::Later(_));
        let flat = matches!(
            self.pointee(ty),
            Pointee::Opaque(_) | Pointee::Cookie | Pointee::Code | Pointee::Bytes
        ) || matches!(found, Pointee::Counted(_) | Pointee::Text)
            && !ty.pointee().is_some_and(|pointee| matches!(pointee.kind, TypeKind::Record(_)));
        // What is kept is copied: as it is, or with all that it leads to.
        if kept && !flat { Pointee::Deep } else { found }
    }

    fn passed(&self, index: usize) -> Pointee<'a> {
        let ty = self.ty(index);
        let Some(pointee) = ty.pointee() else { return Pointee::Later("this type") };
        let direction = direction(ty, pointee);
        let alone = || self.target.leaf && self.others_only_read(index);
        let is_ranged = pointee.has(|note| matches!(note, NoteKind::Range(..)));
        match self.pointee(ty) {
            Pointee::Deep => {
                let is_one = matches!(pointee.kind, TypeKind::Record(_))
                    && !ty.has(|n| matches!(n, NoteKind::TerminatedBy(_)));
                let plain = self
                    .plain(pointee, direction.is_in())
                    .filter(|_| is_one && !is_read(self.prototype, index) && alone());
                match plain.map(|extent| (u32::try_from(extent.size), u8::try_from(extent.align))) {
                    Some((Ok(size), Ok(align))) if size > 0 => match counting(ty) {
                        Some(note) => Pointee::Counted(note),
                        None => Pointee::Plain { size, align },
                    },
                    _ => Pointee::Deep,
                }
            }
            Pointee::Counted(_)
                if is_ranged || self.plain(pointee, direction.is_in()).is_none() =>
            {
                Pointee::Deep
            }
            Pointee::Text if !pointee.quals.is_const && !alone() => Pointee::Deep,
            Pointee::Text if is_ranged => Pointee::Deep,
            Pointee::Integer(scalar) => {
                let as_bool = scalar == Scalar::Bool && direction.is_in();
                let untold =
                    is_ranged && (!direction.is_in() || uncounted_null(ty) == Null::Allowed);
                if as_bool || untold { Pointee::Deep } else { Pointee::Integer(scalar) }
            }
            Pointee::Plain { .. } if is_read(self.prototype, index) => Pointee::Deep,
            Pointee::Pointer if direction == Direction::In => Pointee::Deep,
            Pointee::Pointer if ty.has(|n| *n == NoteKind::Inout) => {
                let mut others = (0..self.all.len()).filter(|other| *other != index);
                let beside_no_copy = others.all(|other| {
                    let ty = self.ty(other);
                    if ty.has(|n| *n == NoteKind::Inout)
                        && matches!(self.pointee(ty), Pointee::Pointer)
                    {
                        leads_to_text(ty)
                    } else {
                        !matches!(self.argument(other), Pointee::Deep)
                    }
                });
                let in_place = leads_to_text(ty) && self.target.leaf && beside_no_copy;
                if in_place { Pointee::Pointer } else { Pointee::Deep }
            }
            other => other,
        }
    }

    /// What a pointer points at, by its annotations and its type.
    pub(super) fn pointee<'t>(&self, ty: &'t Type) -> Pointee<'t> {
        let Some(pointee) = ty.pointee() else { return Pointee::Later("this type") };
        if ty.has(|n| matches!(n, NoteKind::Cookie | NoteKind::Closure(_))) {
            return Pointee::Cookie;
        }
        if matches!(pointee.kind, TypeKind::Function(_)) {
            return Pointee::Code;
        }
        if let TypeKind::Record(record) = &pointee.kind {
            return if self.is_complete(record) { Pointee::Deep } else { Pointee::Opaque(record) };
        }
        if let Some(note) = counting(ty) {
            let same = pointee.pointee().is_none() && self.plain(pointee, false).is_some();
            return if same { Pointee::Counted(note) } else { Pointee::Deep };
        }
        if pointee.pointee().is_some() {
            let ends = ty.has(|n| *n == NoteKind::NullTerminated);
            return if ends { Pointee::Deep } else { Pointee::Pointer };
        }
        if is_text(ty) {
            let unit = self.plain(pointee, false).filter(|extent| extent.size <= 4);
            return if unit.is_some() { Pointee::Text } else { Pointee::Deep };
        }
        match (&pointee.kind, scalar_of(pointee)) {
            (TypeKind::Void, _) => Pointee::Bytes,
            (_, Some(scalar @ (Scalar::Bool | Scalar::Integer(_)))) if scalar.host_size() <= 8 => {
                Pointee::Integer(scalar)
            }
            _ => match self
                .plain(pointee, true)
                .map(|e| (u32::try_from(e.size), u8::try_from(e.align)))
            {
                Some((Ok(size), Ok(align))) => Pointee::Plain { size, align },
                _ => Pointee::Deep,
            },
        }
    }

    pub(super) fn is_complete(&self, record: &Record) -> bool {
        record.body.is_some()
            || record.tag.as_ref().is_some_and(|tag| {
                let key = (record.kind, std::sync::Arc::clone(&tag.name));
                self.target.scope.records.contains_key(&key)
            })
    }
}

/// Whether a pointer is to a string: annotated so, or `const char *` without any size.
pub(super) fn is_text(ty: &Type) -> bool {
    let Some(pointee) = ty.pointee() else { return false };
    let plain = matches!(pointee.kind, TypeKind::Integer(Integer::Char)) && pointee.quals.is_const;
    let other = |n: &NoteKind| {
        use NoteKind::{CountedBy, CountedByOrNull, Single, SizedBy};
        matches!(n, Single | CountedBy(_) | CountedByOrNull(_) | SizedBy(_))
    };
    ty.has(|n| *n == NoteKind::NullTerminated) || (plain && !ty.has(other))
}

/// A pointer to a string that native code only reads.
fn leads_to_text(ty: &Type) -> bool {
    let reads = |ty: &Type| ty.quals.is_const && scalar_of(ty).is_some_and(is_byte);
    ty.pointee().is_some_and(|inner| is_text(inner) && inner.pointee().is_some_and(reads))
}

fn is_byte(scalar: Scalar) -> bool {
    scalar.host_size() == 1
}

/// The annotation that counts what is behind a pointer.
fn counting(ty: &Type) -> Option<&NoteKind> {
    let mut kinds = ty.notes.iter().map(|note| &note.kind);
    kinds.find(|kind| {
        use NoteKind::{CountedBy, CountedByOrNull, SizedBy};
        matches!(kind, CountedBy(_) | CountedByOrNull(_) | SizedBy(_))
    })
}

/// What guest 0 means for a pointer without a count.
pub(super) fn uncounted_null(ty: &Type) -> Null {
    if ty.has(|n| *n == NoteKind::Nullable) { Null::Allowed } else { Null::Refused }
}

/// Which way the pointee goes: what is written, else what `const` says.
pub(super) fn direction(pointer: &Type, pointee: &Type) -> Direction {
    if pointer.has(|n| *n == NoteKind::Out) {
        Direction::Out
    } else if pointer.has(|n| *n == NoteKind::In) || pointee.quals.is_const {
        Direction::In
    } else {
        Direction::InOut
    }
}
