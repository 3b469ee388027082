//! Pointers in data that lead to no data: handles, guest functions, cookies.
use super::Walk;
use super::read_pointer;
use crate::plan::cookie;
use crate::plan::diagnose::deep::Fault;
use crate::plan::handles::HandleError;
use crate::plan::interpret::copies::{Held, Parent};
use crate::plan::interpret::{Failure, callback};
use crate::plan::op::{Fate, Op};
use crate::plan::problem::{CallbackProblem, Problem};
use crate::plan::shape::{Keep, Link};

impl Walk<'_, '_> {
    pub(super) fn handle(
        &mut self,
        link: &Link,
        parent: Option<Parent>,
        guest: u64,
        kind: u16,
    ) -> Result<u64, Failure> {
        let id = self.plan().handle_kinds[usize::from(kind)].id;
        let Ok(value) = u32::try_from(guest) else {
            let error = HandleError::Forged;
            return self.fail(link, parent, Fault::Handle { value: guest, kind, error });
        };
        let taken =
            self.plan().ops[..usize::from(self.plan().call)].iter().filter_map(|op| match op {
                Op::Handle { slot, fate: Fate::Consumed | Fate::Invalidated, .. } => Some(*slot),
                _ => None,
            });
        // SAFETY: the slots exist.
        let slots = taken.map(|slot| unsafe { self.space.slot32(slot) });
        let taken: Vec<u32> = slots.chain(self.memory.doomed.iter().copied()).collect();
        let pointer = self.space.store().with_handles(|handles| {
            let pointer = handles.get(value, id)?.pointer;
            let busy: Vec<u32> = taken.iter().map(|handle| handles.busy(*handle)).collect();
            handles.enter(value, id)?;
            // What the call takes something from must not be reached another way.
            if taken.iter().zip(busy).any(|(handle, before)| handles.busy(*handle) != before) {
                handles.leave(value);
                return Err(HandleError::Busy);
            }
            Ok(pointer)
        });
        match pointer {
            Ok(pointer) => {
                self.memory.mark(value);
                Ok(pointer.expose_provenance() as u64)
            }
            Err(error) => self.fail(link, parent, Fault::Handle { value: guest, kind, error }),
        }
    }

    /// The code of a closure of a function of the guest's table. It may be called from now on.
    ///
    /// # Safety
    /// As [`super::copy`].
    pub(super) unsafe fn function(
        &mut self,
        link: &Link,
        parent: Option<Parent>,
        guest: u64,
        (number, keep): (Option<u16>, Keep),
    ) -> Result<u64, Failure> {
        let Some(number) = number else {
            let problem = CallbackProblem::NoFunction { index: guest };
            return self.fail(link, parent, Fault::Known(Problem::Callback(Box::new(problem))));
        };
        // SAFETY: the caller's promise: a plan that has callbacks may call back.
        let closure = match unsafe { callback::closure_at(&self.space, guest, number) } {
            Ok(closure) => closure,
            Err(problem) => return self.fail(link, parent, Fault::Known(problem)),
        };
        // SAFETY: closures live as long as their store.
        let code = unsafe { closure.as_ref() }.code().expose_provenance() as u64;
        self.memory.hold(Held { closure, guest, keep });
        Ok(code)
    }

    /// A cookie; `at`: where its object is in the guest's memory.
    ///
    /// # Safety
    /// As [`super::copy`].
    pub(super) unsafe fn cookie(
        &self,
        link: &Link,
        parent: Option<Parent>,
        guest: u64,
        (with, object): (Option<u32>, u64),
    ) -> Result<u64, Failure> {
        let Ok(value) = u32::try_from(guest) else {
            let problem = Problem::CookieTooLarge { value: guest };
            return self.fail(link, parent, Fault::Known(problem));
        };
        if let Some(with) = with {
            let at = object.saturating_add(with.into());
            let function = self.space.inside(at, self.space.pointer_size());
            let function = function.ok_or(Failure::Check)?;
            // SAFETY: a pointer of the guest's is readable there.
            if unsafe { read_pointer(&self.space, function) } == 0 {
                return Ok(0);
            }
        }
        match cookie::to_native(value) {
            Some(native) => Ok(native),
            None => self.fail(link, parent, Fault::Known(Problem::NoCookies)),
        }
    }
}
