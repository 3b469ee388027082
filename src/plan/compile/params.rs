//! Parameters: what each one means (DESIGN 5.2), as ops.
use super::expression::{When, integer_width, width_of};
use super::held::owner_behind;
use super::life::{is_descriptor, is_descriptor_cell};
use super::lower::{Crossing, Lowered};
use super::reads::is_read;
use super::values::value_note;
use super::{Compiler, Range, fate_of};
use crate::plan::WasmType;
use crate::plan::abi::Assignment;
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{At, Count, Fate, Null, Op, Operand, Width};
use crate::signature::{Float, NoteKind, Param, Record, Type, TypeKind, Variadic};
use std::sync::Arc;

pub(super) use super::pointee::{Pointee, direction, is_text, uncounted_null};

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
        // What is computed from here on is computed when constant ranges have been tested.
        self.ranged = true;
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
        if let Some(note) = owner_behind(param) {
            return self.held(index, param, note, to);
        }
        let read = self.is_early(index);
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

    /// Whether expressions read what is behind a pointer: a copy of it, or an object.
    fn is_early(&self, index: usize) -> bool {
        let pointee = self.ty(index).pointee();
        is_read(self.prototype, index) || pointee.is_some_and(|ty| self.is_boxed(&ty.kind))
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
                self.error(
                    param.span,
                    "a value of this type cannot be passed",
                    "pass a pointer to it",
                );
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
        let read = self.is_early(index);
        match self.argument(index) {
            _ if owner_behind(param).is_some() => {} // see `readable`
            Pointee::Opaque(_) => {}
            Pointee::Cookie => self.cookie(index, &param.ty, to),
            Pointee::Code => self.callback(index, param, to),
            Pointee::Integer(_) if is_descriptor_cell(&param.ty) => {}
            Pointee::Plain { size, align } => self.in_place(index, param, pointee, size, align, to),
            Pointee::Deep if read => {} // see `readable`
            Pointee::Deep => self.copy(index, self.ty(index), to, false),
            Pointee::None(what) => {
                self.error(param.span, format!("{what} is no pointer"), "pass a pointer");
            }
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
                let object = pointee.pointee();
                if object.is_some_and(|object| self.is_boxed(&object.kind)) {
                    let message = "a `__boxed` object is only passed by a pointer of its own";
                    self.error(
                        param.ty.span,
                        message,
                        "pass it as a parameter, `_Out_` if the call makes it",
                    );
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
}
