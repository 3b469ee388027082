//! What native code has left behind pointers: taken from its memory, given to the guest.
#![expect(unsafe_code, reason = "native and guest memory are reached through raw pointers")]
use super::super::{Failure, Guest};
use super::taking::Taken;
use super::{After, ELSEWHERE, call_with_pointer, native_text_length, usize_of};
use crate::plan::handles::{HandleType, Loan};
use crate::plan::op::{At, Op, Ownership, TakeExtent};
use crate::plan::problem::{CallbackProblem, Problem};
use crate::plan::recorder::Bytes;
use std::ptr;

impl After<'_> {
    /// # Safety
    /// As [`After::step`]; the native pointer reaches as far as `extent` says.
    pub(super) unsafe fn take(
        &mut self,
        from: At,
        take: u8,
        extent: TakeExtent,
        unless: Option<At>,
    ) -> Result<(), Failure> {
        let space = self.space;
        let take = usize::from(take);
        if self.taken.len() <= take {
            self.taken.resize_with(take + 1, || None);
        }
        // SAFETY: the caller's promise.
        let (native, found) = unsafe {
            (space.read::<u64>(from), unless.is_some_and(|at| space.read::<u64>(at) != ELSEWHERE))
        };
        if native == 0 || found {
            return Ok(());
        }
        let native = ptr::with_exposed_provenance::<u8>(usize_of(native));
        let len = match extent {
            // SAFETY: the prototype says that it is a string.
            TakeExtent::Text(unit) => unsafe { native_text_length(native, unit) },
            TakeExtent::Object(bytes) => usize_of(u64::from(bytes)),
            TakeExtent::Counted { count, size } => {
                // SAFETY: the caller's promise: `Measure` has computed the count.
                let count = unsafe { space.count(count) }.ok_or(Failure::Check)?;
                let bytes = count.checked_mul(u64::from(size)).ok_or(Failure::Check)?;
                usize::try_from(bytes).map_err(|_| Failure::Check)?
            }
        };
        let limit = space.store().limits.copied_bytes;
        self.copied = self.copied.saturating_add(len as u64);
        if self.copied > limit {
            return Err(Problem::Limit { limit: "copied_bytes", value: limit }.into());
        }
        // SAFETY: the prototype says that so many bytes are there, and native code does not run
        // meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(native, len) }.to_vec();
        if let Some(recorder) = &space.store().recorder {
            recorder.bytes(Bytes { copied: len as u64, ..Bytes::default() });
        }
        self.taken[take] = Some(Taken::plain(bytes));
        Ok(())
    }

    /// # Safety
    /// As [`After::step`]; the data is what the prototype says.
    pub(super) unsafe fn take_deep(
        &mut self,
        from: At,
        take: u8,
        root: u16,
        unless: Option<At>,
        guest: &mut dyn Guest,
    ) -> Result<(), Failure> {
        let (space, take) = (self.space, usize::from(take));
        if self.taken.len() <= take {
            self.taken.resize_with(take + 1, || None);
        }
        // SAFETY: the caller's promise.
        let (native, found) = unsafe {
            (space.read::<u64>(from), unless.is_some_and(|at| space.read::<u64>(at) != ELSEWHERE))
        };
        if native != 0 && !found {
            // SAFETY: the caller's promise.
            let taken = unsafe { self.taken_deep(native, root, guest)? };
            let bytes = taken.bytes.len() as u64;
            self.copied = self.copied.saturating_add(bytes);
            if let Some(recorder) = &space.store().recorder {
                recorder.bytes(Bytes { transformed: bytes, ..Bytes::default() });
            }
            self.taken[take] = Some(taken);
        }
        Ok(())
    }

    /// # Safety
    /// As [`After::step`].
    pub(super) unsafe fn free_native(&self, from: At, callee: u16) {
        // SAFETY: the caller's promise.
        let (native, (function, _)) =
            unsafe { (self.space.read::<u64>(from), self.space.callee(callee)) };
        if native != 0 {
            // SAFETY: the prototype says that this function frees such a pointer.
            unsafe { call_with_pointer(function, native) };
        }
    }

    /// # Safety
    /// As [`After::step`].
    pub(super) unsafe fn give(
        &mut self,
        take: u8,
        to: At,
        from: At,
        owner: Ownership,
        unless: Option<At>,
        guest: &mut dyn Guest,
    ) -> Result<(), Failure> {
        let space = self.space;
        // SAFETY: the caller's promise.
        if unless.is_some_and(|at| unsafe { space.read::<u64>(at) != ELSEWHERE }) {
            return Ok(());
        }
        let Some(mut taken) = self.taken.get_mut(usize::from(take)).and_then(Option::take) else {
            // SAFETY: the caller's promise.
            unsafe { space.write::<u64>(to, 0) };
            return Ok(());
        };
        // SAFETY: the caller's promise.
        let native = usize_of(unsafe { space.read::<u64>(from) });
        if owner == Ownership::Static
            && let Some((address, size)) = guest.static_copy(native)?
            && size >= taken.bytes.len() as u64
        {
            taken.settle(address, space.plan.facts.wide);
            // SAFETY: no slice of guest memory is alive.
            unsafe {
                space.write_guest(address, &taken.bytes).ok_or(Failure::Check)?;
                space.write::<u64>(to, address);
            }
            return Ok(());
        }
        let goes_back = matches!(owner, Ownership::Handle { back: true, .. });
        if let Ownership::Handle { slot, back: true } = owner {
            // SAFETY: the caller's promise.
            let handle = unsafe { space.slot32(slot) };
            let known = space.store().with_handles(|table| table.lent_back(handle, native));
            if let Some(known) = known.filter(|known| known.instance == space.binding.instance) {
                if known.size < taken.bytes.len() as u64 {
                    let problem = CallbackProblem::Grown { lent: known.size };
                    return Err(Problem::Callback(Box::new(problem)).into());
                }
                // What the guest has there is newer than what was taken just now.
                // SAFETY: the caller's promise.
                unsafe { space.write::<u64>(to, known.address) };
                return Ok(());
            }
        }
        let limit = space.store().limits.loans;
        let lends = matches!(owner, Ownership::Handle { .. });
        if lends && space.store().with_handles(|table| table.lent()) >= limit {
            return Err(Problem::Limit { limit: "loans", value: u64::from(limit) }.into());
        }
        if let Ownership::Handle { slot, back: false } = owner
            // SAFETY: the caller's promise.
            && let Some(address) = unsafe { self.give_again(slot, &mut taken, guest) }
        {
            // SAFETY: likewise.
            unsafe { space.write::<u64>(to, address) };
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let address = unsafe { self.allocate(&mut taken, guest)? };
        let loan = Loan {
            instance: space.binding.instance,
            address,
            size: taken.bytes.len() as u64,
            back: if goes_back { native } else { 0 },
        };
        match owner {
            Ownership::Guest => {}
            Ownership::Static => guest.keep_static_copy(native, address, loan.size),
            Ownership::Handle { slot, back } => {
                // SAFETY: the caller's promise.
                let handle = unsafe { space.slot32(slot) };
                let kind = self.kind_of_slot(slot).ok_or(Failure::Check)?;
                let lent = space.store().with_handles(|table| table.lend(handle, kind, loan));
                if lent.is_err() {
                    self.given.push(loan);
                    let is_alive = space.store().with_handles(|t| t.get(handle, kind).is_ok());
                    if back && is_alive {
                        let problem = Box::new(CallbackProblem::LivesOn);
                        return Err(Problem::Callback(problem).into());
                    }
                    return Err(Failure::Check);
                }
            }
        }
        if owner == Ownership::Guest {
            self.given.push(loan);
        }
        // SAFETY: the caller's promise.
        unsafe { space.write::<u64>(to, address) };
        Ok(())
    }

    /// Fills memory that the handle in `slot` has left of a copy that has ended. No guest code runs.
    ///
    /// # Safety
    /// As [`After::step`].
    unsafe fn give_again(
        &self,
        slot: u16,
        taken: &mut Taken,
        guest: &mut dyn Guest,
    ) -> Option<u64> {
        let space = self.space;
        // What another import has allocated may be beyond the memory that this one knew.
        guest.refresh(space.binding);
        let (size, instance) = (taken.bytes.len() as u64, space.binding.instance);
        // SAFETY: the caller's promise.
        let handle = unsafe { space.slot32(slot) };
        let loan = space.store().with_handles(|table| {
            let inside = |address| space.inside(address, size).is_some();
            table.lend_again(handle, instance, size, inside)
        })?;
        taken.settle(loan.address, space.plan.facts.wide);
        // SAFETY: no slice of guest memory is alive.
        unsafe { space.write_guest(loan.address, &taken.bytes) }?;
        Some(loan.address)
    }

    /// Asks the guest for memory and fills it.
    ///
    /// # Safety
    /// As [`After::step`].
    pub(super) unsafe fn allocate(
        &self,
        taken: &mut Taken,
        guest: &mut dyn Guest,
    ) -> Result<u64, Failure> {
        const ALIGN: u32 = 8;
        let wanted = taken.bytes.len() as u64;
        let address = guest.allocate(wanted.max(1), ALIGN)?;
        guest.refresh(self.space.binding);
        let failed = || Failure::from(Problem::Allocation { bytes: wanted, returned: address });
        if address == 0 {
            return Err(failed());
        }
        taken.settle(address, self.space.plan.facts.wide);
        // SAFETY: no slice of guest memory is alive.
        unsafe { self.space.write_guest(address, &taken.bytes) }.ok_or_else(failed)?;
        Ok(address)
    }

    fn kind_of_slot(&self, slot: u16) -> Option<HandleType> {
        let before = &self.space.plan.ops[..usize::from(self.space.plan.call)];
        before.iter().find_map(|op| {
            if let Op::Handle { slot: of, kind, .. } = op
                && *of == slot
            {
                return Some(self.space.plan.handle_kinds[usize::from(*kind)].id);
            }
            None
        })
    }
}
