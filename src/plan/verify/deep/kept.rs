//! Data that native code keeps, with all that it leads to.
use super::super::callback::captor;
use super::super::demand::Argument;
use super::super::error::Fault;
use super::super::{Checked, Verifier};
use crate::plan::op::{At, Direction};
use crate::plan::shape::{Link, Target};

/// What a block that outlives the call is aligned to, in bytes.
const ALIGNED: u32 = 16;

impl<'p> Verifier<'p> {
    /// The copy of a parameter's data moves to memory that its captor will own: nothing of it is written
    /// back, or goes earlier.
    pub(in super::super) fn keep_copy(&mut self, at: At, root: u16, param: u16) -> Checked {
        let index = self.travels(at)?;
        self.agrees(usize::from(param) == index, "the number", index)?;
        let ty = self.params[index].ty;
        let copied = matches!(self.params[index].wants, Argument::Copied) && !self.is_boxed(ty);
        self.agrees(copied && captor(ty).is_some(), "the captor", index)?;
        if self.copies.root_of[index] != Some(root) {
            return Err(Fault::Unknown { what: "data that is kept", at });
        }
        if !ty.pointee().is_some_and(|pointee| pointee.quals.is_const) {
            return self.wrong("data that is kept and may be written to", index);
        }
        let keep = self.kept_by(ty);
        let plan = self.plan;
        for link in self.links_of([root]) {
            let Link { target, direction, .. } = link;
            let right = match *target {
                Target::Data(shape) => {
                    let align = plan.shapes[usize::from(shape)].host_align;
                    *direction == Direction::In && align <= ALIGNED
                }
                Target::Bytes { align, .. } => {
                    *direction == Direction::In && u32::from(align) <= ALIGNED
                }
                Target::Function { keep: own, .. } => keep == Some(own),
                Target::Cookie { .. } | Target::Native => true,
                Target::Handle { .. } => false,
            };
            if !right {
                return self.wrong("data that cannot be kept", index);
            }
        }
        self.copy_kept(index)
    }
}
