//! What outlives a call: cookies, descriptors, owners, captures, and integers that handles remember.
use super::expression::{When, integer_width};
use super::params::{Pointee, direction, uncounted_null};
use super::{Compiler, fate_of, index_of};
use crate::plan::frame::FrameLayout;
use crate::plan::handles::HandleType;
use crate::plan::layout::{Scalar, scalar_of};
use crate::plan::op::{
    At, Boxing, DeepOp, Direction, Fate, Holder, Keeper, LifeOp, Null, Op, Operand, Returns, Slot,
    Width,
};
use crate::plan::{HandleKind, Purpose};
use crate::signature::{
    Captor, Expr, ExprKind, Ident, Lender, NoteKind, Param, Record, RecordKind, Span, Type,
    TypeKind,
};
use std::sync::Arc;

/// The most integers that one prototype may keep with handles, or read of them.
const MAX_REMEMBERED: usize = 64;

/// Whether an integer names a resource.
pub(super) fn is_descriptor(ty: &Type) -> bool {
    ty.pointee().is_none() && ty.has(|note| *note == NoteKind::Handle)
}

/// Whether a pointer is to an integer that names a resource.
pub(super) fn is_descriptor_cell(ty: &Type) -> bool {
    ty.pointee().is_some_and(is_descriptor)
}

/// What kind of handle a descriptor becomes: by its typedef, else by its type.
fn descriptor_name(ty: &Type) -> Arc<str> {
    ty.alias.clone().unwrap_or_else(|| "int descriptor".into())
}

/// Whether an op reads or writes the guest's memory.
pub(super) fn touches_memory(op: &LifeOp) -> bool {
    match op {
        LifeOp::DescriptorCell { .. } | LifeOp::HandleCell { .. } | LifeOp::Keep { .. } => true,
        LifeOp::Cookie { .. }
        | LifeOp::Descriptor { .. }
        | LifeOp::Exclusive { .. }
        | LifeOp::Recall { .. }
        | LifeOp::Capturable { .. }
        | LifeOp::ConsumeHeld { .. }
        | LifeOp::Emptied { .. }
        | LifeOp::Retain { .. }
        | LifeOp::Capture { .. }
        | LifeOp::HandOver { .. }
        | LifeOp::FromCookie { .. }
        | LifeOp::AdoptDescriptor { .. }
        | LifeOp::Remember { .. } => false,
    }
}

impl Compiler<'_> {
    /// An integer that C carries.
    pub(super) fn cookie(&mut self, index: usize, ty: &Type, to: At) {
        let callback = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::Closure(callback) => Some(callback),
            _ => None,
        });
        let with = callback.and_then(|name| self.prototype.param_index(&name.name));
        let with = with.and_then(|index| Slot::new(self.slots[index]));
        let slot = self.slots[index];
        self.before.pointers.push(Op::Life(LifeOp::Cookie { slot, to, with }));
    }

    /// A cookie that native code gives back.
    pub(super) fn cookie_back(&mut self, from: At, to: At, param: u16) {
        self.after.checks.push(Op::Life(LifeOp::FromCookie { from, to, param }));
    }

    /// A descriptor that the guest passes as a handle.
    pub(super) fn descriptor(&mut self, index: usize, param: &Param, to: At) {
        if self.descriptor_width(&param.ty).is_none() {
            return;
        }
        let only_value = |note: &NoteKind| matches!(note, NoteKind::Range(..) | NoteKind::Value(_));
        if let Some(note) = param.ty.notes.iter().find(|note| only_value(&note.kind)) {
            let message = "the guest has a handle, not the descriptor's value";
            self.error(note.span, message, "leave `__handle` out where only constants are passed");
        }
        let fate = fate_of(param);
        let kind = self.descriptor_kind(&param.ty);
        let op = Op::Life(LifeOp::Descriptor { slot: self.slots[index], to, kind, fate });
        if fate == Fate::Kept {
            self.before.handles.push(op);
        } else {
            self.before.taken.push(op);
        }
        self.params[index].handle = true;
    }

    /// Where native code leaves a descriptor.
    pub(super) fn descriptor_behind(&mut self, index: usize, param: &Param, to: At) {
        let Some(pointee) = param.ty.pointee() else { return };
        let Some(width) = self.descriptor_width(pointee) else { return };
        if direction(&param.ty, pointee) != Direction::Out {
            let help = "write `_Out_` if it only does the second";
            return self.error(param.span, "native code reads a descriptor and leaves one", help);
        }
        let slot = self.slots[index];
        let cell = self.local(8);
        let null = uncounted_null(&param.ty);
        self.before.cells.push(Op::Life(LifeOp::DescriptorCell { slot, to, cell, null }));
        let adopted = self.adopt_descriptor(pointee, Operand { at: cell, width });
        if let Some(from) = adopted {
            self.after.store.push(Op::StoreCell { slot, from, width: Width::I32 });
        }
    }

    /// A descriptor that the function returns.
    pub(super) fn descriptor_back(&mut self, scalar: Scalar) -> Returns {
        let ty = &self.prototype.function.result;
        let at = FrameLayout::result_integer();
        if let Some(width) = self.descriptor_width(ty)
            && scalar.host_size() == 4
            && let Some(from) = self.adopt_descriptor(ty, Operand { at, width })
        {
            self.after.result.push(Op::Return { from, returns: Returns::Int32 });
        }
        Returns::Record
    }

    fn adopt_descriptor(&mut self, ty: &Type, from: Operand) -> Option<At> {
        let to = self.local(8);
        let kind = self.descriptor_kind(ty);
        let borrowed = ty.has(|note| *note == NoteKind::Borrowed);
        let lender = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::LifetimeBound(Lender::Param(name)) => Some(name),
            _ => None,
        });
        let parent = match lender {
            Some(name) => Some(Slot::new(self.handle_slot(name)?)?),
            None => None,
        };
        self.adopts += 1;
        let op = LifeOp::AdoptDescriptor { from, to, kind, borrowed, parent };
        self.after.adopt.push(Op::Life(op));
        Some(to)
    }

    /// How a descriptor is stored: in 32 bits, as the handle that stands for it.
    pub(super) fn descriptor_width(&mut self, ty: &Type) -> Option<Width> {
        let integer = scalar_of(ty).filter(|scalar| matches!(scalar, Scalar::Integer(_)));
        let width = integer.filter(|scalar| scalar.host_size() == 4);
        let width = width.and_then(|scalar| integer_width(scalar, self.target.abi));
        if width.is_none() {
            let message = format!("`{}` is no type of descriptors", ty.as_written());
            let help = "a descriptor has 32 bits, as an `int` has, and so has the handle that stands for it";
            self.error(ty.span, message, help);
        }
        width
    }

    /// As [`Compiler::descriptor_width`], for callbacks, whose errors are negative.
    pub(super) fn is_int(&mut self, ty: &Type) -> bool {
        let width = self.descriptor_width(ty);
        if width.is_some_and(|width| width != Width::I32) {
            let message = "a descriptor of a callback is an `int`";
            self.error(ty.span, message, "let a short C function convert it");
        }
        width == Some(Width::I32)
    }

    pub(super) fn descriptor_kind(&mut self, ty: &Type) -> u16 {
        let name = descriptor_name(ty);
        // No tag of C has a space.
        let tag = Ident { name: format!("descriptor {name}").into(), span: ty.span };
        let record = Record { kind: RecordKind::Struct, tag: Some(tag), body: None };
        let id = self.target.handle_types.number(&record);
        if let Some(index) = self.kinds.iter().position(|kind| kind.id == id) {
            return index_of(index);
        }
        let drop = ty.notes.iter().find_map(|note| match &note.kind {
            NoteKind::Drop(function) => Some(Arc::clone(&function.name)),
            _ => None,
        });
        let drop = drop.filter(|_| !self.is_called);
        let drop = drop.map(|function| self.callee(&function, Purpose::Drop));
        self.kinds.push(HandleKind { id, name, drop });
        index_of(self.kinds.len() - 1)
    }

    /// What annotations ask of a handle parameter before the call.
    pub(super) fn asked_of_handle(&mut self, index: usize, param: &Param) {
        let slot = self.slots[index];
        let own = param.ty.has(|note| *note == NoteKind::Exclusive);
        if own || self.has_exclusive_types() {
            // All handles have been entered by then.
            self.before.life.push(Op::Life(LifeOp::Exclusive { slot, own }));
        }
        if let Some((captor, _)) = captor_of(&param.ty) {
            let consumed = fate_of(param) == Fate::Consumed;
            if consumed {
                let message = "what the call consumes cannot be kept for somebody";
                self.error(param.span, message, "one of the two has to go");
            }
            let by = self.slot_of_captor(captor);
            self.before.life.push(Op::Life(LifeOp::Capturable { slot, by }));
        }
    }

    /// The number of a handle type; it says whether a call has such handles to itself.
    pub(super) fn handle_type(&self, record: &Record) -> HandleType {
        let number = self.target.handle_types.number(record);
        if self.is_alone(record) { number.alone() } else { number }
    }

    /// Whether the interface says that a call has handles of that type to itself.
    fn is_alone(&self, record: &Record) -> bool {
        record.tag.as_ref().is_some_and(|tag| {
            let key = (record.kind, Arc::clone(&tag.name));
            let notes = self.target.scope.record_notes.get(&key);
            notes.is_some_and(|notes| notes.iter().any(|n| n.kind == NoteKind::Exclusive))
        })
    }

    /// Whether the interface has types whose handles a call has to itself: any handle may be lent by
    /// one of them.
    pub(super) fn has_exclusive_types(&self) -> bool {
        let mut notes = self.target.scope.record_notes.values().flatten();
        notes.any(|note| note.kind == NoteKind::Exclusive)
    }

    /// Leaves out what only matters while guest code runs, when none does.
    pub(super) fn without_guest_code(&mut self) {
        self.before.life.retain(|op| !matches!(op, Op::Life(LifeOp::Exclusive { own: false, .. })));
    }

    /// Whether a call has handles of that type to itself.
    pub(super) fn is_exclusive(&self, ty: &Type) -> bool {
        let record = ty.pointee().map(|pointee| &pointee.kind);
        let of_type = matches!(record, Some(TypeKind::Record(record)) if self.is_alone(record));
        ty.has(|note| *note == NoteKind::Exclusive) || of_type
    }

    /// Whether a handle is for this call alone while it runs.
    pub(super) fn has_exclusive(&self) -> bool {
        self.before.life.iter().any(|op| matches!(op, Op::Life(LifeOp::Exclusive { .. })))
    }

    /// The guest slot of a captor that is a parameter.
    fn slot_of_captor(&self, captor: &Captor) -> Option<Slot> {
        let Captor::Param(name) = captor else { return None };
        Slot::new(self.slots[self.prototype.param_index(&name.name)?])
    }

    /// Whether a parameter points at data that is kept after the call.
    pub(super) fn is_kept(&self, param: &Param) -> bool {
        let function = matches!(param.ty.pointee().map(|ty| &ty.kind), Some(TypeKind::Function(_)));
        let pointee = self.pointee(&param.ty);
        // An integer has no memory that would have to be kept.
        let data = !function && !matches!(pointee, Pointee::Opaque(_) | Pointee::Cookie);
        captor_of(&param.ty).is_some() && data
    }

    /// Data that native code keeps: a copy goes to it, and to its captor after the call.
    pub(super) fn kept(&mut self, index: usize, param: &Param, pointee: &Type, to: At) {
        let Some((captor, span)) = captor_of(&param.ty) else { return };
        let shared = *captor == Captor::Global;
        if !pointee.quals.is_const {
            // Guest memory goes with the store, before or after what would still read and write it.
            return self.error(
                span,
                "only `const` data can be kept after the call: as a copy",
                "native code would use the guest's memory when that is gone",
            );
        }
        let slot = self.slots[index];
        let flat = self.plain(pointee, true).is_some()
            && !pointee.has(|note| matches!(note, NoteKind::Range(..)));
        let place = match self.pointee(&param.ty) {
            Pointee::Text if flat => {
                let unit = scalar_of(pointee).and_then(|s| u8::try_from(s.host_size()).ok());
                let null = uncounted_null(&param.ty);
                let extent = self.local(8);
                let text = |unit| Op::Text { slot, to, unit, null, copy: false, extent };
                unit.map(|unit| (text(unit), extent))
            }
            Pointee::Counted(note) if flat => {
                let extent = self.local(8);
                let op = self.kept_elements(index, param, pointee, note, (to, extent));
                op.map(|op| (op, extent))
            }
            _ => return self.keep_copy(index, (captor, span), to),
        };
        let Some((place, extent)) = place else {
            return self.error(
                span,
                "this cannot be kept after the call",
                "descriptors in arrays do not become handles",
            );
        };
        self.before.pointers.push(place);
        let param = index_of(index);
        self.before.pointers.push(Op::Life(LifeOp::Keep { at: to, extent, shared, param }));
    }

    fn kept_elements(
        &mut self,
        index: usize,
        param: &Param,
        pointee: &Type,
        note: &NoteKind,
        (to, extent): (At, At),
    ) -> Option<Op> {
        let (expr, by_bytes) = match note {
            NoteKind::CountedBy(expr) | NoteKind::CountedByOrNull(expr) => (expr, false),
            NoteKind::SizedBy(expr) => (expr, true),
            _ => return None,
        };
        if is_descriptor(pointee) {
            return None;
        }
        let element = self.plain(pointee, true)?;
        let size = if by_bytes { 1 } else { u32::try_from(element.size).ok()? };
        let align = u8::try_from(element.align).ok()?;
        let count = self.count(expr, index_of(index))?;
        let null = if param.ty.has(|note| *note == NoteKind::Nonnull) {
            Null::Refused
        } else if matches!(note, NoteKind::CountedByOrNull(_)) {
            Null::Allowed
        } else {
            Null::IfEmpty
        };
        let (slot, param) = (self.slots[index], super::param_of(index));
        Some(Op::Buffer { slot, to, count, size, align, null, param, extent: Some(extent) })
    }

    /// What is true of handles once the call is over: owners, captures, what they remember.
    pub(super) fn outlives(&mut self) {
        let all = Arc::clone(&self.all);
        for (index, param) in all.iter().enumerate() {
            let slot = self.slots[index];
            if self.params[index].handle {
                if param.ty.has(|note| *note == NoteKind::Retains) {
                    self.after.facts.push(Op::Life(LifeOp::Retain { slot }));
                }
                self.remembers(&param.ty, Holder::Slot(slot));
            } else if let Some((to, _)) = self.params[index].object {
                self.remembers(&param.ty, Holder::Object(to));
            } else if let Some(pointee) = param.ty.pointee() {
                let cell = self.before.pointers.iter().find_map(|op| match *op {
                    Op::PointerCell { slot: of, cell, .. } if of == slot => Some(cell),
                    _ => None,
                });
                if let Some(made) = cell.and_then(|cell| self.adopted(cell)) {
                    self.remembers(pointee, Holder::Made(made));
                }
            }
            if let Some((captor, _)) = captor_of(&param.ty)
                && (self.params[index].handle || self.is_kept(param))
            {
                self.captured(index, param, captor);
            }
        }
        if let Some(made) = self.adopted(FrameLayout::result_integer()) {
            let result = &self.prototype.function.result;
            self.remembers(result, Holder::Made(made));
        }
    }

    /// Where the handle is that is made of the native pointer there.
    pub(super) fn adopted(&self, native: At) -> Option<At> {
        self.after.adopt.iter().find_map(|op| match *op {
            Op::Adopt { from, to, .. } if from == native => Some(to),
            _ => None,
        })
    }

    fn captured(&mut self, index: usize, param: &Param, captor: &Captor) {
        let by = match captor {
            Captor::Param(name) => match self.handle_slot(name) {
                Some(slot) => Keeper::Slot(slot),
                None => return,
            },
            Captor::Return => match self.adopted(FrameLayout::result_integer()) {
                Some(made) => Keeper::Made(made),
                None => {
                    let message = "the result is no handle that could keep it";
                    return self.error(param.span, message, "name a parameter, or `global`");
                }
            },
            Captor::Global => Keeper::Library,
        };
        let slot = self.slots[index];
        let kept = self.before.pointers.iter().find_map(|op| match *op {
            Op::Life(LifeOp::Keep { at, param, .. }) | Op::Deep(DeepOp::Keep { at, param, .. })
                if usize::from(param) == index =>
            {
                Some(at)
            }
            _ => None,
        });
        let op = match kept {
            Some(at) => LifeOp::HandOver { at, by },
            None => LifeOp::Capture { slot, by },
        };
        let phase =
            if let Keeper::Made(_) = by { &mut self.after.adopt } else { &mut self.after.facts };
        phase.push(Op::Life(op));
    }

    fn remembers(&mut self, ty: &Type, of: Holder) {
        for note in &ty.notes {
            let NoteKind::Remember(name, expr) = &note.kind else { continue };
            if self.remembered == MAX_REMEMBERED {
                return self.too_many(name);
            }
            self.remembered += 1;
            let (Some(name), Some(expr)) = (self.name(name), self.expression(expr, When::After))
            else {
                continue;
            };
            let value = self.local(16);
            self.after.checks.push(Op::Measure { expr, to: value });
            // An object that is made has its handle when the mirrors have been written.
            let list = match of {
                Holder::Object(_) => &mut self.after.store,
                Holder::Slot(_) | Holder::Made(_) => &mut self.after.adopt,
            };
            list.push(Op::Life(LifeOp::Remember { value, name, of }));
        }
    }

    /// The place of an integer that a handle remembers.
    pub(super) fn recall(&mut self, expr: &Expr, of: &Expr, name: &Ident) -> Option<At> {
        let ExprKind::Name(handle) = &of.kind else { return self.remembers_nothing(expr) };
        let index = self.prototype.param_index(&handle.name);
        let object = index.and_then(|index| self.params[index].object);
        let Some(index) = index.filter(|index| self.params[*index].handle || object.is_some())
        else {
            return self.remembers_nothing(expr);
        };
        if let Some((_, Boxing::Made)) = object {
            let message = format!("`{expr}` is not known here: `{handle}` is only made");
            self.error(expr.span, message, "let the call take a number");
            return None;
        }
        let name = self.name(name)?;
        let known = self.recalled.iter().find(|(i, n, _)| (*i, *n) == (index, name));
        if let Some((_, _, at)) = known {
            return Some(*at);
        }
        if self.recalled.len() == MAX_REMEMBERED {
            self.too_many(&handle.clone());
            return None;
        }
        let to = self.local(16);
        let slot = self.slots[index];
        match object {
            Some((of, _)) => self.before.read.push(Op::Deep(DeepOp::Recall { of, name, to })),
            None => self.before.life.push(Op::Life(LifeOp::Recall { slot, name, to })),
        }
        self.recalled.push((index, name, to));
        Some(to)
    }

    fn remembers_nothing(&mut self, expr: &Expr) -> Option<At> {
        self.error(
            expr.span,
            format!("`{expr}` is no integer that is known here"),
            "`h.n` reads what a handle remembers; structs are read behind a pointer, `p->f`",
        );
        None
    }

    fn too_many(&mut self, name: &Ident) {
        let message = format!("more than {MAX_REMEMBERED} integers are remembered here");
        self.error(name.span, message, "remember fewer");
    }

    /// The index of a name in the plan's table.
    fn name(&mut self, name: &Ident) -> Option<u16> {
        if let Some(index) = self.names.iter().position(|known| *known == name.name) {
            return Some(index_of(index));
        }
        self.names.push(Arc::clone(&name.name));
        Some(index_of(self.names.len() - 1))
    }
}

/// Who keeps what a parameter stands for, and where that is said.
pub(super) fn captor_of(ty: &Type) -> Option<(&Captor, Span)> {
    ty.notes.iter().find_map(|note| match &note.kind {
        NoteKind::CapturedBy(captor) => Some((captor, note.span)),
        _ => None,
    })
}
