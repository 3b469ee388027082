//! Guest copies that handles lend.
use super::{HandleError, HandleTable, HandleType, index_of};

/// A guest copy that a handle lends: where it is, and whose allocator made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The instance whose memory holds it (the host's number).
    pub instance: u32,
    /// Its guest address.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The native address that the copy goes back to when the callback of its handle ends; 0: it does not.
    pub back: usize,
}

impl HandleTable {
    /// Records that `handle` lends a guest copy.
    ///
    /// # Errors
    /// When the handle is no longer alive, or the loan is to go back and the handle was not made for a
    /// callback; the loan ends at once.
    pub fn lend(&mut self, handle: u32, kind: HandleType, loan: Loan) -> Result<(), HandleError> {
        self.get(handle, kind)?;
        if loan.back != 0 && !self.is_shown(handle) {
            return Err(HandleError::Stale);
        }
        self.loans.entry(index_of(handle)).or_default().push(loan);
        self.lent += 1;
        Ok(())
    }

    /// What `handle` lends already of that native address, which the guest may have changed.
    #[must_use]
    pub fn lent_back(&self, handle: u32, native: usize) -> Option<Loan> {
        let loans = self.loans.get(&index_of(handle)).filter(|_| self.is_live(handle))?;
        loans.iter().find(|loan| loan.back == native).copied()
    }

    /// How many guest copies are lent.
    #[must_use]
    pub fn lent(&self) -> u32 {
        self.lent
    }

    pub(super) fn take_loans(&mut self, index: u32) -> Vec<Loan> {
        let loans = self.loans.remove(&index).unwrap_or_default();
        self.lent = self.lent.saturating_sub(u32::try_from(loans.len()).unwrap_or(u32::MAX));
        loans
    }

    /// Ends the loans of `handle` without ending its life: guest copies, and handles that it lends
    /// without their being owned. Returns the guest copies.
    pub fn end_loans(&mut self, handle: u32) -> Vec<Loan> {
        let index = index_of(handle);
        let mut ended = self.take_loans(index);
        if self.entries.get(index as usize).is_some_and(|entry| entry.lends > 0) {
            let children: Vec<u32> = self.children(index).collect();
            for child in children {
                if self.entries[child as usize].owners == 0 {
                    self.kill(child, &mut ended);
                }
            }
        }
        ended
    }
}
