//! The *before* section: every argument is made, as its type and annotations ask.
use super::demand::{Argument, Elements};
use super::error::Fault;
use super::meaning::Tree;
use super::written::What;
use super::{Checked, Verifier};
use crate::plan::layout::{DataModel, Scalar};
use crate::plan::op::{At, Count, Fate, Null, Op, Width};
use crate::signature::{BinaryOp, Expr};
use std::collections::HashMap;

/// What the ops of the section have made so far.
pub(super) struct Made {
    /// Whether the argument of a parameter has been placed.
    pub(super) placed: Vec<bool>,
    /// Where a value lies whole whose address is passed; the result's comes last.
    pub(super) areas: Vec<Option<At>>,
    /// Whether there is room for the result in the guest's memory.
    pub(super) room: bool,
    /// The cell of a parameter.
    cells: Vec<Option<At>>,
    /// The parameter whose count was computed there.
    counts: HashMap<At, usize>,
    /// Strings that native code only reads, passed in place: places of address and length.
    texts: Vec<(At, At)>,
    /// All strings that native code only reads: the parameter, places of address and length.
    pub(super) strings: Vec<(usize, At, At)>,
    /// The place of the format that was gone through.
    pub(super) format: Option<At>,
    /// Strings that native code may write to.
    writable_texts: Vec<At>,
    /// Ranges that native code may write to.
    writable: Vec<(At, At)>,
    /// Strings and writable ranges that were told apart.
    apart: Vec<(At, At)>,
    /// Parameters whose `__range`s were tested: of themselves, of what is behind them.
    pub(super) ranged: Vec<[bool; 2]>,
    /// The meanings of the conditions that were tested.
    pub(super) required: Vec<Tree>,
    /// Whether a handle was seen that the call takes something from.
    taken: bool,
    /// Handles that were reserved.
    pub(super) reserved: Option<u16>,
    /// Closures: the parameter, where it is.
    pub(super) closures: Vec<(usize, At)>,
    /// Parameters whose closures are kept as annotated.
    pub(super) kept: Vec<usize>,
}

impl Made {
    pub(super) fn new(params: usize) -> Made {
        Made {
            placed: vec![false; params],
            areas: vec![None; params + 1],
            room: false,
            cells: vec![None; params],
            counts: HashMap::new(),
            texts: Vec::new(),
            strings: Vec::new(),
            format: None,
            writable_texts: Vec::new(),
            writable: Vec::new(),
            apart: Vec::new(),
            ranged: vec![[false; 2]; params],
            required: Vec::new(),
            taken: false,
            reserved: None,
            closures: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Notes the cell of a parameter.
    pub(super) fn set_cell(&mut self, index: usize, cell: At) {
        self.cells[index] = Some(cell);
    }

    /// Notes that a handle was entered: those of which nothing is taken come first.
    pub(super) fn takes(&mut self, fate: Fate) -> Checked {
        if fate == Fate::Kept && self.taken {
            return Err(Fault::Sequence("behind a handle that the call takes something from"));
        }
        self.taken |= fate != Fate::Kept;
        Ok(())
    }

    /// The cell of a parameter.
    pub(super) fn cell(&self, index: usize) -> Option<At> {
        self.cells.get(index).copied().flatten()
    }
}

impl Verifier<'_> {
    /// Checks one op of the section.
    pub(super) fn before(&mut self, op: &Op) -> Checked {
        if self.copies.objects.filled && !matches!(op, Op::Reserve { .. }) {
            return Err(Fault::Sequence("behind the objects"));
        }
        match *op {
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
            | Op::Float64 { slot, to } => self.scalar(op, slot, to),
            Op::Range { value, set, param } => self.range(value, set, param),
            Op::Evaluate { expr, to, param } => self.evaluate(expr, to, param),
            Op::Require { expr, of } => self.require(expr, of),
            Op::Value { expr, to, width, param } => self.value(expr, to, width, param),
            Op::Buffer { slot, to, count, size, align, null, param, extent } => {
                let index = self.place(slot, to, What::Address)?;
                self.agrees(usize::from(param) == index, "the number", index)?;
                self.buffer(index, count, size, align, null)?;
                self.extent(index, to, extent)
            }
            Op::Text { slot, to, unit, null, copy, extent } => {
                let index = self.place(slot, to, What::Address)?;
                self.text(index, to, unit, null, copy, extent)
            }
            Op::Cell { slot, to, cell, guest, host, direction, null } => {
                let index = self.place(slot, to, What::Address)?;
                let Argument::Integer { guest: g, host: h, direction: d, null: n, .. } =
                    self.params[index].wants
                else {
                    return Err(self.disagrees("the type", index));
                };
                self.agrees((guest, host) == (g, h), "the width", index)?;
                self.agrees(direction == d, "the direction", index)?;
                self.agrees(null == n, "the meaning of 0", index)?;
                self.made.cells[index] = Some(cell);
                self.written.add_local(cell, 8, What::Integer(host), self.index)
            }
            Op::PointerCell { slot, to, cell, null } => {
                self.pointer_cell(slot, to, cell, null, false).map(|_| ())
            }
            Op::TextCell { slot, to, cell, null, extent } => {
                let index = self.pointer_cell(slot, to, cell, null, true)?;
                let in_place = self.plan.facts.leaf && !self.copies();
                self.agrees(in_place, "whether it is copied", index)?;
                self.made.texts.push((cell, extent));
                self.written.add_local(extent, 8, What::Length, self.index)
            }
            Op::Handle { slot, to, kind, null, fate } => self.handle(slot, to, kind, null, fate),
            Op::Apart { text, text_extent, buffer, buffer_extent } => {
                if !self.made.texts.contains(&(text, text_extent)) {
                    return Err(Fault::Unknown { what: "string", at: text });
                }
                if !self.made.writable.contains(&(buffer, buffer_extent)) {
                    return Err(Fault::Unknown { what: "writable range", at: buffer });
                }
                if self.made.format == Some(text) {
                    return Err(Fault::Sequence("behind the op that goes through this format"));
                }
                self.made.apart.push((text, buffer));
                Ok(())
            }
            Op::Pair { slot, to } => self.pair(slot, to, false),
            Op::Extended { slot, to } => self.pair(slot, to, true),
            Op::Vector { slot, to } => self.vector(slot, to),
            Op::Object { slot, size, moves } => self.object(slot, size, moves),
            Op::Address { of, to, zeroed } => self.address(of, to, zeroed),
            Op::Room { slot, size } => self.room(slot, size),
            Op::Reserve { handles } => match self.made.reserved.replace(handles) {
                None => Ok(()),
                Some(_) => Err(Fault::Unasked),
            },
            Op::Deep(op) => self.deep_before(op),
            Op::Format { text, extent, param } => self.format(text, extent, param),
            Op::Callback(op) => self.callback(op),
            Op::Life(op) => self.life_before(op),
            Op::Call { .. }
            | Op::FitsObject { .. }
            | Op::StoreObject { .. }
            | Op::Native(_)
            | Op::Upcall(_)
            | Op::Consume { .. }
            | Op::Measure { .. }
            | Op::Fits { .. }
            | Op::Inside { .. }
            | Op::InsideOr { .. }
            | Op::Take { .. }
            | Op::FreeNative { .. }
            | Op::Give { .. }
            | Op::Adopt { .. }
            | Op::StoreCell { .. }
            | Op::EndLoans { .. }
            | Op::Return { .. } => Err(Fault::Unasked),
        }
    }

    /// The parameter whose argument travels at `to`; it is placed by this op, from its own slot.
    fn place(&mut self, slot: u16, to: At, what: What) -> Checked<usize> {
        self.place_bytes(slot, to, 8, what)
    }

    pub(super) fn place_bytes(
        &mut self,
        slot: u16,
        to: At,
        bytes: usize,
        what: What,
    ) -> Checked<usize> {
        let index = self.travels(to)?;
        if slot != self.params[index].slot {
            return Err(Fault::Slot(slot));
        }
        self.written.add(to, bytes, what, self.index)?;
        self.made.placed[index] = true;
        Ok(index)
    }

    pub(super) fn travels(&self, to: At) -> Checked<usize> {
        let index = self.params.iter().position(|param| param.place == Some(to));
        index.ok_or(Fault::Area { at: to, bytes: 8, area: "places of arguments" })
    }

    fn scalar(&mut self, op: &Op, slot: u16, to: At) -> Checked {
        let index = self.travels(to)?;
        let Argument::Scalar(scalar) = self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        let width = self.reader.width(scalar, DataModel::Lp64);
        self.place(slot, to, width.map_or(What::Float, What::Integer))?;
        let wasm = self.plan.lowering.params.get(usize::from(slot)).ok_or(Fault::Slot(slot))?;
        let expected = self.reader.scalar_op(scalar, *wasm, slot, to);
        self.agrees(expected == Some(*op), "the conversion", index)
    }

    fn value(&mut self, expr: u16, to: At, width: Width, param: u16) -> Checked {
        let index = self.travels(to)?;
        let Argument::Computed(scalar, annotation) = self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        self.agrees(usize::from(param) == index, "the number", index)?;
        let expected = self.reader.width(scalar, DataModel::Lp64);
        self.agrees(expected == Some(width), "the width", index)?;
        let tree = self.expression(expr.into())?;
        let means = match (scalar, &tree) {
            (Scalar::Bool, Tree::Binary(BinaryOp::NotEqual, value, zero)) => {
                **zero == Tree::Constant(0) && self.means(value, annotation, false)
            }
            (Scalar::Bool, _) => false,
            _ => self.means(&tree, annotation, false),
        };
        self.agrees(means, "the value", index)?;
        self.written.add(to, 8, What::Integer(width), self.index)?;
        self.made.placed[index] = true;
        Ok(())
    }

    fn evaluate(&mut self, expr: u16, to: At, param: u16) -> Checked {
        let index = usize::from(param);
        let tree = self.expression(expr.into())?;
        match self.params.get(index).map(|param| &param.wants) {
            Some(Argument::Buffer { count: Elements::Counted(annotation), .. }) => {
                self.agrees(self.means(&tree, annotation, false), "the count", index)?;
            }
            _ => return Err(Fault::Unasked),
        }
        self.made.counts.insert(to, index);
        self.written.add_local(to, 16, What::Integer(Width::I128), self.index)
    }

    fn buffer(&self, index: usize, count: Count, size: u32, align: u8, null: Null) -> Checked {
        if !align.is_power_of_two() || size == 0 {
            return Err(self.disagrees("the element", index));
        }
        match &self.params[index].wants {
            Argument::Buffer { count: elements, size: s, align: a, null: n, .. } => {
                let same = u64::from(size) == *s && u32::from(align) == *a;
                self.agrees(same, "the element", index)?;
                self.agrees(null == *n, "the meaning of 0", index)?;
                match elements {
                    Elements::One => self.agrees(count == Count::Exactly(1), "the count", index),
                    Elements::Counted(expr) => self.count(index, count, expr),
                }
            }
            Argument::Integer { guest, host, null: n, .. } => {
                self.agrees(guest == host, "the layout", index)?;
                let bytes = host.bytes();
                let same = usize::try_from(size) == Ok(bytes) && usize::from(align) == bytes;
                self.agrees(same, "the element", index)?;
                self.agrees(null == *n, "the meaning of 0", index)?;
                self.agrees(count == Count::Exactly(1), "the count", index)
            }
            Argument::Scalar(_)
            | Argument::Computed(..)
            | Argument::Handle { .. }
            | Argument::Function { .. }
            | Argument::Text { .. }
            | Argument::Pointer { .. }
            | Argument::Cookie { .. }
            | Argument::Descriptor { .. }
            | Argument::DescriptorCell { .. }
            | Argument::HandleCell { .. }
            | Argument::Copied
            | Argument::Nothing
            | Argument::Two(_)
            | Argument::Vector
            | Argument::Object => Err(self.disagrees("the type", index)),
        }
    }

    /// The count is what the annotation says: a constant, what it names, or what was computed.
    fn count(&self, index: usize, count: Count, annotation: &Expr) -> Checked {
        let tree = self.annotation(annotation, false);
        let same = match count {
            Count::Exactly(count) => tree == Some(Tree::Constant(count.into())),
            Count::Of(operand) => {
                self.written.read(operand, false)?;
                tree == Some(Tree::Load(operand))
                    || self.made.counts.get(&operand.at) == Some(&index)
            }
        };
        self.agrees(same, "the count", index)
    }

    /// The length of a range is kept exactly when native code may write there.
    fn extent(&mut self, index: usize, to: At, extent: Option<At>) -> Checked {
        let is_writable = match self.params[index].wants {
            Argument::Buffer { writable, .. }
            | Argument::Integer { writable, .. }
            | Argument::Text { writable, .. } => writable,
            Argument::Scalar(_)
            | Argument::Computed(..)
            | Argument::Handle { .. }
            | Argument::Function { .. }
            | Argument::Pointer { .. }
            | Argument::Cookie { .. }
            | Argument::Descriptor { .. }
            | Argument::DescriptorCell { .. }
            | Argument::HandleCell { .. }
            | Argument::Copied
            | Argument::Nothing
            | Argument::Two(_)
            | Argument::Vector
            | Argument::Object => false,
        };
        let is_kept = self.is_kept(index);
        let needs = is_writable || is_kept;
        self.agrees(extent.is_some() == needs, "whether it is written to", index)?;
        let Some(extent) = extent else { return Ok(()) };
        if is_kept {
            self.keeps(index, to, extent);
        } else {
            self.made.writable.push((to, extent));
        }
        self.written.add_local(extent, 8, What::Length, self.index)
    }

    fn text(
        &mut self,
        index: usize,
        to: At,
        unit: u8,
        null: Null,
        copy: bool,
        extent: At,
    ) -> Checked {
        let Argument::Text { unit: u, null: n, writable } = self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        self.agrees(u32::from(unit) == u, "the element", index)?;
        self.agrees(null == n, "the meaning of 0", index)?;
        let is_kept = self.is_kept(index);
        let needs_copy = !writable && (!self.plan.facts.leaf || self.copies()) && !is_kept;
        self.agrees(copy == needs_copy, "whether it is copied", index)?;
        if writable {
            self.agrees(self.plan.facts.leaf, "whether it is copied", index)?;
            self.made.writable_texts.push(to);
            return self.extent(index, to, Some(extent));
        }
        self.made.strings.push((index, to, extent));
        if is_kept {
            self.keeps(index, to, extent);
        } else if !copy {
            self.made.texts.push((to, extent));
        }
        self.written.add_local(extent, 8, What::Length, self.index)
    }

    /// Whether something is copied with all that it leads to. Native code may write to the guest's
    /// memory through what is in it: nothing else is then read in place.
    fn copies(&self) -> bool {
        self.params.iter().any(|param| matches!(param.wants, Argument::Copied))
    }

    fn pointer_cell(
        &mut self,
        slot: u16,
        to: At,
        cell: At,
        null: Null,
        text: bool,
    ) -> Checked<usize> {
        let index = self.place(slot, to, What::Address)?;
        let Argument::Pointer { null: n, text: t } = self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        self.agrees(text == t, "the direction", index)?;
        self.agrees(null == n, "the meaning of 0", index)?;
        self.made.cells[index] = Some(cell);
        self.written.add_local(cell, 8, What::Native, self.index)?;
        Ok(index)
    }

    fn handle(&mut self, slot: u16, to: At, kind: u16, null: Null, fate: Fate) -> Checked {
        let index = self.place(slot, to, What::Object)?;
        let Argument::Handle { name, null: n, fate: f } = &self.params[index].wants else {
            return Err(self.disagrees("the type", index));
        };
        self.agrees(null == *n, "the meaning of 0", index)?;
        self.agrees(fate == *f, "the fate", index)?;
        let name = name.clone();
        self.kind(kind, &name, index)?;
        self.entered(fate)
    }

    /// Everything that must have happened before the call has.
    pub(super) fn ready(&self) -> Checked {
        let undone = |what, index| Fault::Undone { what, subject: self.subject(index) };
        for index in 0..self.params.len() {
            if !self.made.placed[index] && !matches!(self.params[index].wants, Argument::Nothing) {
                return Err(Fault::Missing(self.subject(index)));
            }
        }
        let result = self.params.len();
        if self.returns_by_address() && !self.made.room {
            return Err(undone("makes room for", result));
        }
        if self.assignment.result.indirect.is_some() && self.made.areas[result].is_none() {
            return Err(Fault::Missing("the address of the result".to_owned()));
        }
        self.conditions_ready()?;
        self.life_ready()?;
        self.objects_ready()?;
        self.format_ready()?;
        for (buffer, _) in &self.made.writable {
            let index = self.travels(*buffer)?;
            if self.made.texts.iter().any(|(text, _)| !self.made.apart.contains(&(*text, *buffer)))
            {
                return Err(undone("tells strings from", index));
            }
            if self.made.writable_texts.iter().any(|text| text != buffer) {
                return Err(undone("tells strings that are written to from", index));
            }
        }
        Ok(())
    }
}
