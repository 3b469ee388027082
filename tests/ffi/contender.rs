//! Who calls, and what the call must show.
use crate::generate::{Batch, Case};
use crate::library::{Loaded, Outcome, Values};
use std::sync::Arc;

/// One call of one case.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub batch: &'a Batch,
    pub case: &'a Case,
    pub library: &'a Arc<Loaded>,
    /// Where the streams of its values start.
    pub seed: u64,
}

impl Call<'_> {
    /// Begins the call.
    pub fn begin(&self) -> Values {
        Values::new(self.library, self.case, self.seed)
    }
}

/// One way to make a call.
pub trait Contender: Sync {
    fn name(&self) -> &'static str;

    /// Of so many cases it must run at least so many.
    fn floor(&self, cases: usize) -> usize;

    fn takes(&self, batch: &Batch, case: &Case) -> bool;

    /// Makes the call, which has begun. An error is about the call as a whole.
    fn run(&self, call: &Call<'_>, values: &mut Values) -> Result<Outcome, String>;

    /// Why it differs from gcc here, where it is known to; such calls are counted.
    fn excuse(&self, _call: &Call<'_>) -> Option<&'static str> {
        None
    }
}

/// gcc's caller calls gcc's callee: shows that the generated C is right.
pub struct Gcc;

impl Contender for Gcc {
    fn name(&self) -> &'static str {
        "gcc"
    }

    fn floor(&self, cases: usize) -> usize {
        cases
    }

    fn takes(&self, _batch: &Batch, _case: &Case) -> bool {
        true
    }

    fn run(&self, call: &Call<'_>, _values: &mut Values) -> Result<Outcome, String> {
        // SAFETY: callee and caller are of the same case.
        unsafe { call.library.call(call.case, call.library.callee(call.case)) };
        call.library.outcome()
    }
}
