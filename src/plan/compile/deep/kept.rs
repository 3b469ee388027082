//! Data that native code keeps, with all that it leads to.
use super::super::Compiler;
use crate::plan::op::{At, DeepOp, Direction, Op};
use crate::plan::shape::{Keep, Target};
use crate::signature::{Captor, Span};

/// The most that memory that outlives a call is aligned to, in bytes.
const ALIGN: u32 = 16;

impl<'a> Compiler<'a> {
    /// Copies what a parameter points at to memory that its captor will own.
    pub(in super::super) fn keep_copy(&mut self, index: usize, captor: (&Captor, Span), to: At) {
        let of = super::super::index_of(index);
        let copied = |op: &Op| match *op {
            Op::Deep(DeepOp::Copy { root, param, .. }) if param == of => Some(root),
            _ => None,
        };
        let find = |compiler: &Self| {
            let before = &compiler.before;
            before.read.iter().chain(&before.pointers).find_map(copied)
        };
        if find(self).is_none() {
            self.copy(index, self.ty(index), to, false);
        }
        let Some(root) = find(self) else { return };
        let (captor, span) = captor;
        if let Some((what, help)) = self.unkept(root, captor) {
            return self.error(span, what, help);
        }
        self.before.pointers.push(Op::Deep(DeepOp::Keep { at: to, root, param: of }));
    }

    /// Why data cannot be kept, and what would help.
    fn unkept(&self, root: u16, captor: &Captor) -> Option<(String, &'static str)> {
        let whole = &self.shapes.roots[usize::from(root)];
        let keep = match captor {
            Captor::Global => Keep::Library,
            Captor::Return => Keep::Result,
            Captor::Param(name) => {
                let index = self.prototype.param_index(&name.name)?;
                Keep::Slot(self.slots[index])
            }
        };
        for link in self.links_from(whole) {
            let path = if link.path.is_empty() { "the data" } else { &link.path };
            match link.target {
                Target::Data(_) | Target::Bytes { .. } if link.direction != Direction::In => {
                    return Some((
                        format!("`{path}` is written to, and only what is read can be kept"),
                        "make what it points at `const`, or write `_In_`",
                    ));
                }
                Target::Handle { .. } => {
                    return Some((
                        format!("`{path}` is a handle inside of data that is kept"),
                        "pass the handle as a parameter of its own, with `__captured_by`",
                    ));
                }
                Target::Function { keep: own, .. } if own != keep => {
                    return Some((
                        format!("`{path}` would be called after its time"),
                        "write the same `__captured_by` at the function",
                    ));
                }
                Target::Data(_)
                | Target::Bytes { .. }
                | Target::Function { .. }
                | Target::Cookie { .. }
                | Target::Native => {}
            }
        }
        let wide = |shape: u16| {
            let shape = self.shapes.all.get(usize::from(shape)).and_then(Option::as_ref);
            shape.is_some_and(|shape| shape.host_align > ALIGN)
        };
        self.reached(whole).into_iter().any(wide).then(|| {
            let what = format!("data that is aligned to more than {ALIGN} bytes cannot be kept");
            (what, "wrap the function")
        })
    }
}
