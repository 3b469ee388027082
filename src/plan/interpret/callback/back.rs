//! What the guest has left in the data that a callback was given, on its way back: looked through as a whole,
//! then written.
use super::Kept;
use super::bring::{Brought, Lent, is_same, usize_of};
use super::call::Call;
use crate::plan::cookie;
use crate::plan::diagnose::deep::{Fault, problem};
use crate::plan::diagnose::subject_of;
use crate::plan::handles::Loan;
use crate::plan::interpret::copies::Parent;
use crate::plan::interpret::deep::{path_to, read_pointer, untrue};
use crate::plan::moves::load_run;
use crate::plan::op::{CallbackOp, Null, Op};
use crate::plan::problem::{CallbackProblem, Problem, Subject};
use crate::plan::shape::{Link, Target};
use std::ptr;

/// Bytes that native code gets back.
enum Bytes {
    /// As they are in the guest's memory.
    Same(*const u8, usize),
    Made(Vec<u8>),
}

/// What is wrong with a pointer that the guest has left.
enum Wrong {
    Fault(Fault),
    Left,
}

/// Bytes that are the same on both sides.
fn same_bytes(lent: &Lent, from: *const u8, len: usize) -> Option<Bytes> {
    // SAFETY: the caller has shown that so many bytes are in the guest's memory, and the prototype says that as many are
    // native code's; no guest code runs.
    let (left, before) = unsafe {
        (std::slice::from_raw_parts(from, len), std::slice::from_raw_parts(lent.native, len))
    };
    (left != before || !lent.inward).then_some(Bytes::Same(from, len))
}

impl Call<'_> {
    /// Ends what the call has brought: what the guest has left goes back if all went well, then its memory
    /// is freed. When guest code has trapped, none runs any more.
    pub(super) fn take_back(&mut self, is_well: bool, trapped: bool) -> Result<(), Kept> {
        let Some(brought) = self.brought.take() else { return Ok(()) };
        let mut lost = None;
        if is_well {
            self.refresh();
            lost = self.give_back(&brought).err();
        }
        let is_well = is_well && lost.is_none();
        let space = self.space();
        let mut ended = Vec::new();
        for handle in &brought.shown {
            ended.extend(space.store().with_handles(|table| table.hide(*handle)));
        }
        let instance = self.closure.binding().instance;
        for loan in ended.iter().filter(|loan| is_well && loan.back != 0) {
            let at = space.inside(loan.address, loan.size).filter(|_| loan.instance == instance);
            let Some(at) = at else {
                let problem = Problem::Callback(Box::new(CallbackProblem::LivesOn));
                lost = Some(Kept::Problem(Box::new((Subject::Call, problem))));
                continue;
            };
            let to = ptr::with_exposed_provenance_mut::<u8>(loan.back);
            // SAFETY: the bytes are inside the guest's memory. The native ones are lent as long as the object
            // is, which native code has passed to this callback and which has no owner here.
            unsafe { to.copy_from_nonoverlapping(at, usize_of(loan.size)) };
        }
        if trapped {
            return Ok(());
        }
        let size = brought.bytes.len() as u64;
        let block = Loan { instance, address: brought.address, size, back: 0 };
        for loan in (brought.address != 0).then_some(block).into_iter().chain(ended) {
            if self.guest().release(loan).is_err() {
                return Err(Kept::Guest);
            }
        }
        lost.map_or(Ok(()), Err)
    }

    /// Nothing is written when something is wrong.
    fn give_back(&mut self, brought: &Brought) -> Result<(), Kept> {
        let mut all = Vec::new();
        for (number, lent) in (0..).zip(&brought.lent).filter(|(_, lent)| lent.outward) {
            // SAFETY: the guest's memory is up to date, and no guest code runs.
            let made = unsafe { self.made_of(brought, lent) };
            match made {
                Ok(Some(bytes)) => all.push((lent.native, bytes)),
                // Native code may have lent what it cannot write to.
                Ok(None) => {}
                Err((element, member, wrong)) => {
                    return Err(self.wrong(brought, (number, element), &member, wrong));
                }
            }
        }
        for (native, bytes) in all {
            // SAFETY: native code has lent what is written to, as far as the prototype says, and is what called.
            unsafe {
                match bytes {
                    Bytes::Same(from, len) => native.copy_from_nonoverlapping(from, len),
                    Bytes::Made(made) => {
                        native.copy_from_nonoverlapping(made.as_ptr(), made.len());
                    }
                }
            }
        }
        Ok(())
    }

    /// The native bytes of objects, as the guest has left them; `None` when they are those that it was given.
    ///
    /// # Safety
    /// The closure's binding is up to date, and no guest code runs while the result is used.
    unsafe fn made_of(
        &self,
        brought: &Brought,
        lent: &Lent,
    ) -> Result<Option<Bytes>, (u64, String, Wrong)> {
        let space = self.space();
        let plan = self.closure.plan();
        let start = brought.address + lent.at as u64;
        let outside = || (0, String::new(), Wrong::Left);
        // What has no shape is bytes.
        let Some(shape) = plan.shapes.get(usize::from(lent.shape)) else {
            let from = space.inside(start, lent.linked).ok_or_else(outside)?;
            return Ok(same_bytes(lent, from, usize_of(lent.linked)));
        };
        let (guest_size, host_size) = (shape.guest_size as usize, shape.host_size as usize);
        let many = usize_of(lent.linked);
        let from = space.inside(start, (many * guest_size) as u64).ok_or_else(outside)?;
        if is_same(shape) {
            return Ok(same_bytes(lent, from, many * host_size));
        }
        let mut made = vec![0; many * host_size];
        // SAFETY: so many native objects are there; they are the callback's, whether they were read or not, and
        // what of them is no member stays. Moves and links lie inside of objects on both sides.
        unsafe {
            lent.native.copy_to_nonoverlapping(made.as_mut_ptr(), made.len());
            for element in 0..many {
                let from = from.add(element * guest_size);
                let object = made[element * host_size..][..host_size].as_mut_ptr();
                for one in &shape.moves {
                    load_run(one.kind, from.add(one.guest as usize), object.add(one.host as usize));
                }
                for link in &shape.links {
                    let place = lent.at + element * guest_size + link.guest as usize;
                    let given = read_pointer(&space, brought.bytes[place..].as_ptr());
                    let left = read_pointer(&space, from.add(link.guest as usize));
                    if left == given && lent.inward {
                        continue;
                    }
                    let native = self.left(link, left);
                    let native =
                        native.map_err(|wrong| (element as u64, link.path.to_string(), wrong))?;
                    object.add(link.host as usize).cast::<u64>().write_unaligned(native);
                }
                if let Some((test, fault)) = untrue(&space, &shape.tests, object) {
                    return Err((element as u64, test.path.to_string(), Wrong::Fault(fault)));
                }
            }
        }
        // SAFETY: as above.
        let before = unsafe { std::slice::from_raw_parts(lent.native.cast_const(), made.len()) };
        Ok((before != made || !lent.inward).then_some(Bytes::Made(made)))
    }

    /// The native pointer for one that the guest has left: a handle's, or NULL.
    fn left(&self, link: &Link, value: u64) -> Result<u64, Wrong> {
        let space = self.space();
        if let Target::Cookie { .. } = link.target {
            let native = u32::try_from(value).ok().and_then(cookie::to_native);
            return native.ok_or(Wrong::Fault(Fault::Known(Problem::CookieTooLarge { value })));
        }
        if value == 0 {
            let allowed = link.null == Null::Allowed || matches!(link.target, Target::Native);
            return if allowed { Ok(0) } else { Err(Wrong::Fault(Fault::Null)) };
        }
        let Target::Handle { kind, .. } = link.target else { return Err(Wrong::Left) };
        let id = space.plan.handle_kinds[usize::from(kind)].id;
        let forged = crate::plan::handles::HandleError::Forged;
        let handle = u32::try_from(value).map_err(|_| forged);
        let found = handle.and_then(|handle| {
            // SAFETY: the running call is one of a store that is alive, and nobody else looks at it now.
            unsafe { (*self.running).lend(handle, id) }
        });
        match found {
            Ok(pointer) => Ok(pointer.expose_provenance() as u64),
            Err(error) => Err(Wrong::Fault(Fault::Handle { value, kind, error })),
        }
    }

    #[cold]
    fn wrong(
        &self,
        brought: &Brought,
        (block, element): (u32, u64),
        member: &str,
        wrong: Wrong,
    ) -> Kept {
        let space = self.space();
        let path = path_to(space.plan, brought, Parent { block, element, link: 0 }, member);
        let problem = match wrong {
            Wrong::Fault(fault) => problem(&space, fault, Some(path)),
            Wrong::Left => {
                let left = Problem::Callback(Box::new(CallbackProblem::LeftPointer));
                Problem::Within { path, count: None, problem: Box::new(left) }
            }
        };
        let root = brought.lent[block as usize].root;
        let is_it =
            |op: &Op| matches!(op, Op::Callback(CallbackOp::Copy { root: r, .. }) if *r == root);
        let index = space.plan.ops.iter().position(is_it).unwrap_or(0);
        let callback = space.plan.prototype.name.to_string();
        let subject = subject_of(space.plan, index);
        let inside = CallbackProblem::Inside { callback, subject, problem };
        Kept::Problem(Box::new((Subject::Call, Problem::Callback(Box::new(inside)))))
    }
}
