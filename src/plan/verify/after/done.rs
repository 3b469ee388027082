//! Whether everything that must happen after the call does.
use super::super::demand::{Argument, Incoming, Owner};
use super::super::error::Fault;
use super::super::{Checked, Verifier};
use crate::plan::op::{Fate, Returns};

impl Verifier<'_> {
    /// Everything that must happen after the call has.
    pub(in super::super) fn done(&self) -> Checked {
        self.kept_ready()?;
        let undone = |what, index| Fault::Undone { what, subject: self.subject(index) };
        for (index, param) in self.params.iter().enumerate() {
            match &param.wants {
                Argument::Handle { fate, .. } | Argument::Descriptor { fate, .. } => {
                    if *fate != Fate::Kept && !self.outcome.recorded[index] {
                        return Err(undone("records what becomes of", index));
                    }
                }
                Argument::Integer { direction, .. } => {
                    let out = self.made.cell(index).is_some() && direction.is_out();
                    if out && !self.outcome.stored[index] {
                        return Err(undone("stores", index));
                    }
                }
                Argument::HandleCell { .. } => {
                    if !self.outcome.recorded[index] || !self.outcome.stored[index] {
                        return Err(undone("records what becomes of", index));
                    }
                }
                Argument::Pointer { .. } => {
                    if !self.outcome.stored[index] {
                        return Err(undone("stores", index));
                    }
                }
                Argument::Scalar(_)
                | Argument::Function { .. }
                | Argument::Computed(..)
                | Argument::Buffer { .. }
                | Argument::Copied
                | Argument::Text { .. }
                | Argument::Cookie { .. }
                | Argument::DescriptorCell { .. }
                | Argument::Nothing
                | Argument::Two(_)
                | Argument::Vector
                | Argument::Object => {}
            }
        }
        for index in 0..=self.params.len() {
            if let Some(Incoming::Copy { owner: Owner::Guest(_), .. }) = self.incoming(index)
                && !self.outcome.freed[index]
            {
                return Err(undone("frees the native memory of", index));
            }
        }
        self.life_done()?;
        if self.returns_by_address() && !self.outcome.stored[self.params.len()] {
            return Err(undone("stores", self.params.len()));
        }
        self.copies_done()?;
        let direct = self.direct()?;
        let record = self.result.is_some()
            || direct == Some(Returns::Vector)
            || (self.plan.facts.after && direct.is_some());
        if record && !self.outcome.returned {
            return Err(undone("gives", self.params.len()));
        }
        let reserved = self.made.reserved.unwrap_or(0);
        let needless = self.made.reserved == Some(0);
        if reserved != self.outcome.adopted || needless {
            let subject = "the handles that are made".to_owned();
            return Err(Fault::Disagrees { what: "the number", subject });
        }
        Ok(())
    }
}
