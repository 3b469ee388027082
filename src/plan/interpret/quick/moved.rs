//! The short way for arguments that lie elsewhere than in slots.
use super::scalars::{Copied, Straight};
use super::{Quick, Step};
use crate::plan::frame::GuestSlot;
use crate::plan::interpret::quick::words::Outgoing;

impl Quick {
    /// The same for calls whose arguments are so many bytes behind the address that [`run`](Quick::run) is given
    /// for slots, each in 8 bytes; the result goes to the first 8. `None` for plans that look at slots in other ways.
    #[must_use]
    pub fn moved(&self, places: &[u16]) -> Option<Quick> {
        if self.held.is_some() || (!self.after.is_empty() && self.outgoing.is_empty()) {
            return None;
        }
        let there = |from: u16| places.get(usize::from(from) / size_of::<GuestSlot>()).copied();
        let moved = |one: &Copied| Some(Copied { from: there(one.from)?, to: one.to });
        let all = |list: &[Copied]| list.iter().map(moved).collect::<Option<Box<[_]>>>();
        let step = |step: &Step| match *step {
            Step::Extended(kind, one) => Some(Step::Extended(kind, moved(&one)?)),
            Step::Handle { from, to, kind, nullable } => {
                Some(Step::Handle { from: there(from)?, to, kind, nullable })
            }
            Step::Words { from, size, first, count } => {
                Some(Step::Words { from: there(from)?, size, first, count })
            }
            Step::Room { from, size } => Some(Step::Room { from: there(from)?, size }),
            Step::Within { at, signed, interval } => Some(Step::Within { at, signed, interval }),
            Step::Op(_) => None,
        };
        let straight = match &self.straight {
            None => None,
            Some(straight) => {
                let Straight { mut integers, mut vectors } = *straight;
                for one in integers.iter_mut().chain(&mut vectors) {
                    *one = there(*one)?;
                }
                Some(Straight { integers, vectors })
            }
        };
        let outgoing = self.outgoing.iter().map(|one| {
            Some(Outgoing { from: there(one.from)?, size: one.size, words: one.words.clone() })
        });
        Some(Quick {
            words: self.words.clone(),
            outgoing: outgoing.collect::<Option<_>>()?,
            narrow: all(&self.narrow)?,
            wide: all(&self.wide)?,
            steps: self.steps.iter().map(step).collect::<Option<_>>()?,
            intervals: self.intervals.clone(),
            straight,
            plain: self.plain,
            reply: self.reply,
            stub: self.stub,
            returns: self.returns,
            after: self.after.clone(),
            held: None,
        })
    }
}
