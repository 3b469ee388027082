//! Data behind pointers: which arguments must be copied, and whether the plan's shapes are those of
//! their types. Read from the prototype alone, with code of its own: members are compared byte by
//! byte, pointers by what their types and annotations say, counts by what they mean.
use super::boxed::Objects;
use super::demand::{Argument, Incoming};
use super::error::Fault;
use super::written::What;
use super::{Checked, Verifier};
use crate::plan::Plan;
use crate::plan::op::{At, DeepOp};
use crate::plan::shape::{Link, Reach, Target};
use crate::signature::Type;

mod arguments;
mod data;
mod fields;
mod kept;
mod links;
mod names;

pub(super) use data::Data;

/// What the ops of copied data have done so far.
pub(super) struct Copies {
    /// Where the address of the copy of a parameter is.
    places: Vec<Option<At>>,
    /// The type that each shape was found to be of.
    types: Vec<Option<Type>>,
    roots: Vec<bool>,
    /// Roots that are copied before the call.
    copied: Vec<u16>,
    /// The root of the copy of a parameter.
    root_of: Vec<Option<u16>>,
    kept: fields::Kept,
    settled: bool,
    committed: bool,
    pub(super) objects: Objects,
}

impl Copies {
    pub(super) fn new(plan: &Plan, params: usize) -> Copies {
        Copies {
            places: vec![None; params],
            types: vec![None; plan.shapes.len()],
            roots: vec![false; plan.roots.len()],
            copied: Vec::new(),
            root_of: vec![None; params],
            kept: fields::Kept::default(),
            settled: false,
            committed: false,
            objects: Objects::new(params),
        }
    }

    /// Expressions may read what the pointer at `at` points at: that of parameter `index`.
    pub(super) fn read_behind(&mut self, index: usize, at: Option<At>) {
        self.places[index] = at;
    }

    /// No shape is idle, and no root.
    pub(super) fn all_used(&self) -> Checked {
        if let Some(index) = self.types.iter().position(Option::is_none) {
            return Err(Fault::Unused { table: "shapes", index });
        }
        if let Some(index) = self.roots.iter().position(|used| !used) {
            return Err(Fault::Unused { table: "roots", index });
        }
        Ok(())
    }
}

impl<'p> Verifier<'p> {
    pub(super) fn wrong<T>(&self, reason: impl Into<String>, index: usize) -> Checked<T> {
        Err(Fault::Shape { reason: reason.into(), subject: self.subject(index) })
    }

    /// Checks one op of copied data.
    pub(super) fn deep_before(&mut self, op: DeepOp) -> Checked {
        if let DeepOp::Keep { at, root, param } = op {
            return self.keep_copy(at, root, param);
        }
        let DeepOp::Copy { slot, to, root, param } = op else { return self.objects_before(op) };
        let index = self.place_bytes(slot, to, 8, What::Address)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        if !matches!(self.params[index].wants, Argument::Copied) {
            return Err(self.disagrees("the type", index));
        }
        let ty = self.params[index].ty;
        self.root(root, ty, index, false)?;
        let link = &self.plan.roots[usize::from(root)];
        if matches!(link.reach, Reach::One | Reach::Ends { .. }) {
            // What is in an object is not what was checked.
            if !self.is_boxed(ty) {
                self.copies.places[index] = Some(to);
            }
        }
        if self.is_boxed(ty) {
            self.mirrored(index, to, root);
        }
        self.copies.copied.push(root);
        self.copies.root_of[index] = Some(root);
        Ok(())
    }

    pub(super) fn settle(&mut self) -> Checked {
        if std::mem::replace(&mut self.copies.settled, true) || !self.gives_back() {
            return Err(Fault::Unasked);
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) -> Checked {
        if !self.copies.settled {
            return Err(Fault::Sequence("before the copies were looked through"));
        }
        if std::mem::replace(&mut self.copies.committed, true) {
            return Err(Fault::Unasked);
        }
        Ok(())
    }

    /// Whether something of what is copied goes back. Shapes were found to be those of types.
    fn gives_back(&self) -> bool {
        self.goes_out(&self.copies.copied)
    }

    /// Whether something that these roots lead to goes out.
    pub(super) fn goes_out(&self, roots: &[u16]) -> bool {
        let goes_out =
            |link: &&Link| matches!(link.target, Target::Data(_)) && link.direction.is_out();
        self.links_of(roots.iter().copied()).iter().any(goes_out)
    }

    /// Whether copies have been written to the guest's memory, as far as they are.
    pub(super) fn copies_written(&self) -> bool {
        self.gives_back() == self.copies.committed
    }

    /// Everything that must happen to copies has, and no shape is idle.
    pub(super) fn copies_done(&self) -> Checked {
        self.objects_done()?;
        if self.gives_back() != self.copies.committed {
            let subject = "the copies".to_owned();
            return Err(Fault::Undone { what: "gives back", subject });
        }
        self.functions_done()?;
        self.copies.all_used()
    }

    /// Data that native code has left, taken by its shape.
    pub(super) fn take_deep(&mut self, op: DeepOp) -> Checked {
        let DeepOp::Take { from, take, root, unless, param } = op else {
            return Err(Fault::Unasked);
        };
        let index = self.source(from)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        let shaped = matches!(
            self.incoming(index),
            Some(Incoming::Copy { extent: super::demand::Reach::Shape, .. })
        );
        self.agrees(shaped && unless.is_none(), "the extent", index)?;
        let ty = match self.params.get(index) {
            Some(param) => param.ty.pointee(),
            None => Some(&self.plan.prototype.function.result),
        };
        let Some(ty) = ty else { return Err(Fault::Unasked) };
        self.root(root, ty, index, true)?;
        self.taken_as(index, take)
    }
}
