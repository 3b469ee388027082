//! Guest copies that handles lend.
//!
//! When a handle is invalidated its copies end, and their memory stays with it: the next copies that it
//! lends to the same instance go there, so that a loop that asks and steps runs no guest code. It is
//! given back when the handle dies.
use super::{HandleError, HandleTable, HandleType, index_of};

/// A guest copy that a handle lends: where it is, and whose allocator made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loan {
    /// The instance whose memory holds it (the host's number).
    pub instance: u32,
    /// Its guest address.
    pub address: u64,
    /// How many bytes were allocated for it.
    pub size: u64,
    /// The native address that the copy goes back to when the callback of its handle ends; 0: it does not.
    pub back: usize,
}

/// What a handle has of the memory of guests.
#[derive(Debug, Default)]
pub(super) struct Lending {
    lent: Vec<Loan>,
    /// Memory of copies that have ended, at most [`SPARES`].
    spare: Vec<Loan>,
}

/// How much memory of ended copies a handle keeps: a row of a table has a few texts.
const SPARES: usize = 8;
/// Copies with more bytes than this are given back as soon as they end.
const LARGEST_SPARE: u64 = 64 << 10;

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
        self.lending[index_of(handle) as usize].lent.push(loan);
        self.lent += 1;
        Ok(())
    }

    /// Lends `size` bytes in memory that `handle` has left of an ended copy for that instance, at an
    /// address that is fit for it; `None` when there is none. What is there is older than the copy.
    pub fn lend_again(
        &mut self,
        handle: u32,
        instance: u32,
        size: u64,
        fit: impl Fn(u64) -> bool,
    ) -> Option<Loan> {
        if !self.is_live(handle) {
            return None;
        }
        let lending = &mut self.lending[index_of(handle) as usize];
        let good =
            |spare: &Loan| spare.instance == instance && spare.size >= size && fit(spare.address);
        let at = lending.spare.iter().position(good)?;
        let loan = lending.spare.swap_remove(at);
        lending.lent.push(loan);
        self.lent += 1;
        Some(loan)
    }

    /// What `handle` lends already of that native address, which the guest may have changed.
    #[must_use]
    pub fn lent_back(&self, handle: u32, native: usize) -> Option<Loan> {
        let lending =
            self.lending.get(index_of(handle) as usize).filter(|_| self.is_live(handle))?;
        lending.lent.iter().find(|loan| loan.back == native).copied()
    }

    /// How many guest copies are lent.
    #[must_use]
    pub fn lent(&self) -> u32 {
        self.lent
    }

    /// All memory of guests that a handle has.
    pub(super) fn take_loans(&mut self, index: u32) -> Vec<Loan> {
        let Lending { mut lent, mut spare } = std::mem::take(&mut self.lending[index as usize]);
        self.lent = self.lent.saturating_sub(u32::try_from(lent.len()).unwrap_or(u32::MAX));
        lent.append(&mut spare);
        lent
    }

    /// Ends the loans of `handle` without ending its life: guest copies, and handles that it lends
    /// without their being owned. Their objects may live on, so that what they keep is the lender's to keep. Returns
    /// the guest copies that must be freed: what the handle does not keep for the next ones.
    pub fn end_loans(&mut self, handle: u32) -> Vec<Loan> {
        let mut ended = Vec::new();
        let index = index_of(handle);
        let Some(lending) = self.lending.get_mut(index as usize) else { return ended };
        self.lent = self.lent.saturating_sub(u32::try_from(lending.lent.len()).unwrap_or(u32::MAX));
        for loan in lending.lent.drain(..) {
            if is_kept(&loan) && lending.spare.len() < SPARES {
                lending.spare.push(loan);
            } else {
                ended.push(loan);
            }
        }
        if self.entries[index as usize].lends > 0 {
            let children: Vec<u32> = self.children(index).collect();
            for child in children {
                if self.entries[child as usize].owners == 0 {
                    self.leave_to_lender(child, index);
                    self.kill(child, &mut ended);
                }
            }
        }
        ended
    }

    /// As [`HandleTable::end_loans`], when the handle can keep all of them and nothing that it lends dies.
    /// Else nothing happens.
    pub fn end_quietly(&mut self, handle: u32) -> bool {
        let index = index_of(handle) as usize;
        let Some(lending) = self.lending.get_mut(index) else { return false };
        let Lending { lent, spare } = lending;
        let quiet = self.entries[index].lends == 0
            && lent.len() + spare.len() <= SPARES
            && lent.iter().all(is_kept);
        if quiet {
            self.lent = self.lent.saturating_sub(u32::try_from(lent.len()).unwrap_or(u32::MAX));
            spare.append(lent);
        }
        quiet
    }
}

/// Whether the memory of a copy that ends stays with its handle.
fn is_kept(loan: &Loan) -> bool {
    loan.back == 0 && loan.size <= LARGEST_SPARE
}
