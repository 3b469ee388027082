//! What outlives a call: cookies, descriptors, owners, captures, and integers that handles remember.
use super::demand::{Argument, Incoming};
use super::error::Fault;
use super::written::What;
use super::{Checked, Verifier, once};
use crate::plan::frame::FrameLayout;
use crate::plan::layout::{DataModel, scalar_of};
use crate::plan::op::{At, Fate, Holder, Keeper, LifeOp, Operand, Slot, Width};
use crate::signature::{Captor, Expr, Ident, NoteKind, Type};
use std::sync::Arc;

/// What ops of this group have done so far, by parameter.
pub(super) struct Outliving {
    /// Whether a handle is for this call alone.
    exclusive: Vec<bool>,
    /// Whether it was tested that a handle may be captured.
    capturable: Vec<bool>,
    /// Where data is that is still to be copied, and its length.
    to_keep: Vec<Option<(At, At)>>,
    /// Whether it has been copied.
    kept: Vec<bool>,
    retained: Vec<bool>,
    /// Handles behind pointers that the call takes: the parameter, where they are kept.
    pub(super) held: Vec<(usize, At)>,
    /// Whether a capture was recorded.
    captured: Vec<bool>,
    /// Integers that handles remember: the parameter, the name, the place.
    recalled: Vec<(usize, Arc<str>, At)>,
    /// What handles are to remember: whose (the result comes last), and which annotation.
    remembered: Vec<(usize, usize)>,
    /// Which names of the plan's table are used.
    names: Vec<bool>,
}

impl Outliving {
    pub(super) fn new(params: usize, names: usize) -> Outliving {
        let none = || vec![false; params];
        Outliving {
            exclusive: none(),
            capturable: none(),
            to_keep: vec![None; params],
            kept: none(),
            retained: none(),
            held: Vec::new(),
            captured: none(),
            recalled: Vec::new(),
            remembered: Vec::new(),
            names: vec![false; names],
        }
    }

    /// Where an integer that a handle remembers was put.
    pub(super) fn recalled(&self, index: usize, name: &str) -> Option<At> {
        let found = self.recalled.iter().find(|(of, known, _)| *of == index && **known == *name);
        found.map(|(_, _, at)| *at)
    }

    /// Whether a handle was given to this call alone.
    pub(super) fn has_exclusive(&self) -> bool {
        self.exclusive.contains(&true)
    }

    /// The first name that nothing uses.
    pub(super) fn idle_name(&self) -> Option<usize> {
        self.names.iter().position(|used| !used)
    }
}

/// Who keeps what an argument stands for.
pub(super) fn captor(ty: &Type) -> Option<&Captor> {
    ty.notes.iter().find_map(|note| match &note.kind {
        NoteKind::CapturedBy(captor) => Some(captor),
        _ => None,
    })
}

/// What a type's handles are to remember.
fn remembers(ty: &Type) -> Vec<(&Ident, &Expr)> {
    let notes = ty.notes.iter().filter_map(|note| match &note.kind {
        NoteKind::Remember(name, expr) => Some((name, expr)),
        _ => None,
    });
    notes.collect()
}

impl<'p> Verifier<'p> {
    /// Checks an op of the *before* section.
    pub(super) fn life_before(&mut self, op: LifeOp) -> Checked {
        match op {
            LifeOp::Cookie { slot, to, with } => {
                let index = self.place_bytes(slot, to, 8, What::Address)?;
                let Argument::Cookie { with: callback } = &self.params[index].wants else {
                    return Err(self.disagrees("the type", index));
                };
                let same = match (with, callback) {
                    (None, None) => true,
                    (Some(with), Some(name)) => self.is_param(with.number(), name),
                    _ => false,
                };
                self.agrees(same, "the callback", index)
            }
            LifeOp::Descriptor { slot, to, kind, fate } => {
                let index = self.place_bytes(slot, to, 8, What::Object)?;
                let Argument::Descriptor { name, fate: expected } = &self.params[index].wants
                else {
                    return Err(self.disagrees("the type", index));
                };
                self.agrees(fate == *expected, "the fate", index)?;
                let name = name.clone();
                self.kind(kind, &name, index)?;
                self.entered(fate)
            }
            LifeOp::DescriptorCell { slot, to, cell, null } => {
                let index = self.place_bytes(slot, to, 8, What::Address)?;
                let Argument::DescriptorCell { null: expected } = self.params[index].wants else {
                    return Err(self.disagrees("the type", index));
                };
                self.agrees(null == expected, "the meaning of 0", index)?;
                self.made.set_cell(index, cell);
                self.written.add_local(cell, 8, What::Native, self.index)
            }
            LifeOp::HandleCell { .. } => self.handle_cell(op),
            LifeOp::Exclusive { slot, own } => {
                // Which types are, only the interface knows.
                let index = self.entered_handle(slot)?;
                let asked = self.params[index].ty.has(|note| *note == NoteKind::Exclusive);
                self.agrees(own == asked, "whether it is shared", index)?;
                once(&mut self.life.exclusive[index])
            }
            LifeOp::Recall { slot, name, to } => {
                let index = self.entered_handle(slot)?;
                self.recalls(index, name, to)
            }
            LifeOp::Capturable { slot, by } => {
                let index = self.entered_handle(slot)?;
                let same = match (captor(self.params[index].ty), by) {
                    (Some(Captor::Param(name)), Some(by)) => self.is_handle_slot(by.number(), name),
                    (Some(Captor::Return | Captor::Global), None) => true,
                    _ => false,
                };
                self.agrees(same, "the captor", index)?;
                once(&mut self.life.capturable[index])
            }
            LifeOp::Keep { at, extent, shared, param } => {
                let index = self.travels(at)?;
                self.agrees(usize::from(param) == index, "the number", index)?;
                if self.life.to_keep[index] != Some((at, extent)) {
                    return Err(Fault::Unknown { what: "data that is kept", at });
                }
                let global = matches!(captor(self.params[index].ty), Some(Captor::Global));
                self.agrees(shared == global, "the captor", index)?;
                if self.made.format == Some(at) {
                    return Err(Fault::Sequence("behind the op that goes through this format"));
                }
                once(&mut self.life.kept[index])
            }
            LifeOp::ConsumeHeld { .. }
            | LifeOp::Emptied { .. }
            | LifeOp::Retain { .. }
            | LifeOp::Capture { .. }
            | LifeOp::HandOver { .. }
            | LifeOp::FromCookie { .. }
            | LifeOp::AdoptDescriptor { .. }
            | LifeOp::Remember { .. } => Err(Fault::Unasked),
        }
    }

    /// Checks an op of the *after* section.
    pub(super) fn life_after(&mut self, op: LifeOp) -> Checked {
        match op {
            LifeOp::Retain { slot } => {
                let index = self.param_at(slot)?;
                let retains = self.params[index].ty.has(|note| *note == NoteKind::Retains);
                self.agrees(retains && self.is_handle(index), "the owners", index)?;
                once(&mut self.life.retained[index])
            }
            LifeOp::Capture { slot, by } => {
                let index = self.param_at(slot)?;
                let handle = matches!(self.params[index].wants, Argument::Handle { .. });
                self.agrees(handle, "the type", index)?;
                self.captured(index, by)
            }
            LifeOp::HandOver { at, by } => {
                let index = self.travels(at)?;
                self.agrees(self.life.kept[index], "the copy", index)?;
                self.captured(index, by)
            }
            LifeOp::FromCookie { from, to, param } => {
                let index = self.source(from)?;
                self.agrees(usize::from(param) == index, "the number", index)?;
                let cookie = matches!(self.incoming(index), Some(Incoming::Cookie));
                self.agrees(cookie, "the way to the guest", index)?;
                self.reaches_guest(index, to)
            }
            LifeOp::AdoptDescriptor { from, to, kind, borrowed, parent } => {
                self.adopt_descriptor(from, to, kind, borrowed, parent)
            }
            LifeOp::Remember { value, name, of } => self.remember(value, name, of),
            LifeOp::ConsumeHeld { held, condition } => self.consume_held(held, condition),
            LifeOp::Emptied { cell, held, to, param } => self.emptied(cell, held, to, param),
            LifeOp::Cookie { .. }
            | LifeOp::Descriptor { .. }
            | LifeOp::DescriptorCell { .. }
            | LifeOp::HandleCell { .. }
            | LifeOp::Exclusive { .. }
            | LifeOp::Recall { .. }
            | LifeOp::Capturable { .. }
            | LifeOp::Keep { .. } => Err(Fault::Unasked),
        }
    }

    /// What the handle of a parameter remembers is put there.
    pub(super) fn recalls(&mut self, index: usize, name: u16, to: At) -> Checked {
        let name = self.remembered_name(name)?;
        if self.life.recalled(index, &name).is_some() {
            return Err(Fault::Unasked);
        }
        self.life.recalled.push((index, name, to));
        self.written.add_local(to, 16, What::Integer(Width::I128), self.index)
    }

    /// A handle was entered: those of which nothing is taken come first, and those that a call has to
    /// itself are tested behind all.
    pub(super) fn entered(&mut self, fate: Fate) -> Checked {
        if self.life.has_exclusive() {
            return Err(Fault::Sequence("behind a handle that the call has to itself"));
        }
        self.made.takes(fate)
    }

    /// Notes where data is that outlives the call.
    pub(super) fn keeps(&mut self, index: usize, to: At, extent: At) {
        self.life.to_keep[index] = Some((to, extent));
    }

    /// Whether a parameter points at data that outlives the call.
    pub(super) fn is_kept(&self, index: usize) -> bool {
        let ty = self.params[index].ty;
        let data = match self.params[index].wants {
            Argument::Text { .. } | Argument::Buffer { .. } => true,
            Argument::Copied => !self.is_boxed(ty),
            _ => false,
        };
        data && captor(ty).is_some()
    }

    /// Notes that the copy of a parameter's data outlives the call.
    pub(super) fn copy_kept(&mut self, index: usize) -> Checked {
        once(&mut self.life.kept[index])
    }

    /// The handle parameter in that slot, which an op has entered.
    fn entered_handle(&self, slot: u16) -> Checked<usize> {
        let index = self.param_at(slot)?;
        let entered = self.is_handle(index) && self.made.placed[index];
        if entered { Ok(index) } else { Err(Fault::Slot(slot)) }
    }

    fn is_handle(&self, index: usize) -> bool {
        let wants = self.params.get(index).map(|param| &param.wants);
        matches!(wants, Some(Argument::Handle { .. } | Argument::Descriptor { .. }))
    }

    /// Whether guest slot `slot` is the parameter's of that name.
    fn is_param(&self, slot: u16, name: &Ident) -> bool {
        let Ok(index) = self.param_at(slot) else { return false };
        let param = self.plan.prototype.function.params.get(index);
        param.and_then(|param| param.name.as_ref()).is_some_and(|own| own.name == name.name)
    }

    fn remembered_name(&mut self, name: u16) -> Checked<Arc<str>> {
        let index = usize::from(name);
        let found = self.plan.names.get(index).ok_or(Fault::Table { table: "names", index })?;
        self.life.names[index] = true;
        Ok(Arc::clone(found))
    }

    fn captured(&mut self, index: usize, by: Keeper) -> Checked {
        let result = self.params.len();
        let same = match (captor(self.params[index].ty), by) {
            (Some(Captor::Param(name)), Keeper::Slot(slot)) => {
                let of = self.param_at(slot)?;
                let taken = match &self.params[of].wants {
                    Argument::Handle { fate, .. } | Argument::Descriptor { fate, .. } => *fate,
                    _ => Fate::Consumed,
                };
                taken != Fate::Consumed && self.is_handle_slot(slot, name)
            }
            (Some(Captor::Return), Keeper::Made(made)) => {
                let object = matches!(self.incoming(result), Some(Incoming::Object { .. }));
                object && self.outcome.reached(result) == Some(made)
            }
            (Some(Captor::Global), Keeper::Library) => true,
            _ => false,
        };
        self.agrees(same, "the captor", index)?;
        once(&mut self.life.captured[index])
    }

    fn adopt_descriptor(
        &mut self,
        from: Operand,
        to: At,
        kind: u16,
        borrowed: bool,
        parent: Option<Slot>,
    ) -> Checked {
        let result = from.at == FrameLayout::result_integer();
        let index = if result { self.params.len() } else { self.source(from.at)? };
        let Some(Incoming::Descriptor { name, borrowed: b, lender }) = self.incoming(index) else {
            return Err(self.disagrees("the way to the guest", index));
        };
        let ty = match self.params.get(index) {
            Some(param) => param.ty.pointee(),
            None => Some(&self.plan.prototype.function.result),
        };
        let width = ty.and_then(scalar_of).and_then(|s| self.reader.width(s, DataModel::Lp64));
        self.agrees(Some(from.width) == width, "the width", index)?;
        self.agrees(borrowed == *b, "the owner", index)?;
        let same = match (parent, lender) {
            (None, None) => true,
            (Some(slot), Some(name)) => self.is_handle_slot(slot.number(), name),
            _ => false,
        };
        self.agrees(same, "the lender", index)?;
        let name = name.clone();
        self.kind(kind, &name, index)?;
        self.outcome.adopts();
        self.reaches_guest(index, to)
    }

    fn remember(&mut self, value: At, name: u16, of: Holder) -> Checked {
        let name = self.remembered_name(name)?;
        let index = match of {
            Holder::Slot(slot) => self.entered_handle(slot)?,
            Holder::Object(at) => self.object_at(at)?,
            Holder::Made(made) => {
                let made = |index: &usize| {
                    let object = matches!(self.incoming(*index), Some(Incoming::Object { .. }));
                    object && self.outcome.reached(*index) == Some(made)
                };
                let unknown = Fault::Unknown { what: "new handle", at: value };
                (0..=self.params.len()).find(made).ok_or(unknown)?
            }
        };
        let ty = self.holder(index);
        let notes = ty.map(remembers).unwrap_or_default();
        let operand = Operand { at: value, width: Width::I128 };
        let done = &self.life.remembered;
        let asked = (0..notes.len()).find(|at| {
            let (of, expr) = notes[*at];
            of.name == name && !done.contains(&(index, *at)) && self.is_measured(operand, expr)
        });
        self.life.remembered.push((index, asked.ok_or(Fault::Unasked)?));
        Ok(())
    }

    /// The type of the handle that is passed by a parameter, left behind it, or returned.
    fn holder(&self, index: usize) -> Option<&'p Type> {
        match self.params.get(index) {
            Some(param) if self.is_handle(index) || self.is_object(index) => Some(param.ty),
            Some(param) => param.ty.pointee(),
            None => Some(&self.plan.prototype.function.result),
        }
    }

    /// Everything of this group that must happen before the call has.
    pub(super) fn life_ready(&self) -> Checked {
        let undone = |what, index| Fault::Undone { what, subject: self.subject(index) };
        for (index, param) in self.params.iter().enumerate() {
            let handle = matches!(param.wants, Argument::Handle { .. });
            let exclusive = param.ty.has(|note| *note == NoteKind::Exclusive);
            if handle && exclusive && !self.life.exclusive[index] {
                return Err(undone("has to itself", index));
            }
            if handle && captor(param.ty).is_some() && !self.life.capturable[index] {
                return Err(undone("tests whether it may keep", index));
            }
            if self.is_kept(index) && !self.life.kept[index] {
                return Err(undone("copies", index));
            }
        }
        Ok(())
    }

    /// Everything of this group that must happen after the call has.
    pub(super) fn life_done(&self) -> Checked {
        let undone = |what, index| Fault::Undone { what, subject: self.subject(index) };
        for (index, param) in self.params.iter().enumerate() {
            let retains = param.ty.has(|note| *note == NoteKind::Retains);
            if self.is_handle(index) && retains && !self.life.retained[index] {
                return Err(undone("counts the owners of", index));
            }
            // A cookie has no memory that would have to be kept.
            let keeps = matches!(param.wants, Argument::Handle { .. }) || self.is_kept(index);
            if keeps && captor(param.ty).is_some() && !self.life.captured[index] {
                return Err(undone("records who keeps", index));
            }
            if matches!(param.wants, Argument::DescriptorCell { .. })
                && !self.outcome.is_stored(index)
            {
                return Err(undone("stores", index));
            }
        }
        for index in 0..=self.params.len() {
            let object = matches!(self.incoming(index), Some(Incoming::Object { .. }));
            if !object && !self.is_handle(index) && !self.is_object(index) {
                continue;
            }
            let asked = self.holder(index).map(remembers).unwrap_or_default().len();
            let done = self.life.remembered.iter().filter(|(of, _)| *of == index).count();
            if asked != done {
                return Err(undone("keeps what is remembered of", index));
            }
        }
        Ok(())
    }

    /// What is stored behind a parameter where native code leaves a descriptor.
    pub(super) fn stores_descriptor(&self, index: usize, from: At, width: Width) -> Checked {
        let same = self.outcome.reached(index) == Some(from)
            && self.written.at(from) == Some(What::ForGuest)
            && width == Width::I32;
        self.agrees(same, "what is stored", index)
    }
}
