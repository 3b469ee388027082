//! Which plans take the short way, and what they become for it.
use super::after;
use super::held::Held;
use super::scalars::{Copied, Extend, Reply, Straight, interval, number, offset};
use super::words::{outgoing, words};
use super::{Quick, Step};
use crate::plan::frame::FrameLayout;
use crate::plan::interpret::{SMALL_FRAME, enter};
use crate::plan::moves::Move;
use crate::plan::op::{At, Fate, Null, Op, Stub, Width};
use crate::plan::{Facts, Plan};

impl Quick {
    /// `None` for plans that do not take the short way: what is left to do after the call is to look at
    /// values and to write them to the guest's memory, and *before* leaves nothing behind when it fails.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Quick> {
        let Facts { after: _, errno, marks, leaf, memory: _, allocates: _, wide: _ } = plan.facts;
        let call = usize::from(plan.call);
        let behind = &plan.ops[call + 1..];
        let Op::Call { stub, returns } = plan.ops[call] else { return None };
        let simple = plan.callbacks.is_empty()
            && !errno
            && usize::from(plan.frame.size) <= SMALL_FRAME
            && plan.frame.align <= 16;
        let held = if marks { Held::of(plan) } else { None };
        let fits = if marks { held.is_some() } else { leaf && behind.iter().all(after::is_plain) };
        if !simple || !fits {
            return None;
        }
        let mut quick = Quick {
            narrow: [].into(),
            wide: [].into(),
            steps: [].into(),
            intervals: [].into(),
            straight: None,
            plain: stub == Stub::Integers && behind.is_empty(),
            reply: Reply::of(returns),
            stub,
            returns,
            after: behind.iter().copied().filter(|op| !always_fits(plan, op)).collect(),
            words: [].into(),
            outgoing: [].into(),
            held,
        };
        let (mut narrow, mut wide) = (Vec::new(), Vec::new());
        let (mut steps, mut intervals) = (Vec::new(), Vec::new());
        let mut all_words = Vec::new();
        for (op, index) in plan.ops[..call].iter().zip(0..) {
            if quick.held.as_ref().is_some_and(|held| held.does(op)) {
                continue;
            }
            let copied = |slot, to| Some(Copied { from: offset(slot)?, to: number(to)? });
            let extended = |kind, slot, to| Some(Step::Extended(kind, copied(slot, to)?));
            match *op {
                Op::Int32 { slot, to } | Op::ULong32 { slot, to } | Op::Float32 { slot, to } => {
                    narrow.push(copied(slot, to)?);
                }
                Op::Int64 { slot, to } | Op::Float64 { slot, to } => wide.push(copied(slot, to)?),
                Op::Int8 { slot, to } => steps.push(extended(Extend::Int8, slot, to)?),
                Op::UInt8 { slot, to } => steps.push(extended(Extend::UInt8, slot, to)?),
                Op::Int16 { slot, to } => steps.push(extended(Extend::Int16, slot, to)?),
                Op::UInt16 { slot, to } => steps.push(extended(Extend::UInt16, slot, to)?),
                Op::Bool { slot, to } => steps.push(extended(Extend::Bool, slot, to)?),
                Op::Long32 { slot, to } => steps.push(extended(Extend::Long32, slot, to)?),
                Op::Handle { slot, to, kind, null, fate: Fate::Kept } if !plan.facts.wide => {
                    let kind = plan.handle_kinds.get(usize::from(kind))?.id;
                    let nullable = null == Null::Allowed;
                    steps.push(Step::Handle { from: offset(slot)?, to, kind, nullable });
                }
                Op::Room { slot, size } if !plan.facts.wide => {
                    steps.push(Step::Room { from: offset(slot)?, size });
                }
                Op::Object { slot, size, moves } if !plan.facts.wide => {
                    let found = plan.moves.get(usize::from(moves)).and_then(|one| words(one));
                    match (found, u16::try_from(size)) {
                        (Some(found), Ok(size)) => {
                            let first = u16::try_from(all_words.len()).ok()?;
                            let count = u16::try_from(found.len()).ok()?;
                            all_words.extend(found);
                            steps.push(Step::Words { from: offset(slot)?, size, first, count });
                        }
                        _ => steps.push(Step::Op(index)),
                    }
                }
                Op::Range { value, set, .. } => {
                    let interval = interval(plan.ranges.get(usize::from(set))?);
                    let signed = value.width == Width::I32;
                    match interval.filter(|_| signed || value.width == Width::U32) {
                        Some(one) => {
                            let interval = u16::try_from(intervals.len()).ok()?;
                            intervals.push(one);
                            steps.push(Step::Within { at: value.at, signed, interval });
                        }
                        None => steps.push(Step::Op(index)),
                    }
                }
                _ => steps.push(Step::Op(index)),
            }
        }
        (quick.narrow, quick.wide) = (narrow.into(), wide.into());
        (quick.steps, quick.intervals) = (steps.into(), intervals.into());
        quick.words = all_words.into();
        if quick.held.is_none() {
            quick.outgoing = outgoing(plan, &quick.after).unwrap_or_default();
        }
        quick.straight = quick.straight();
        Some(quick)
    }

    fn straight(&self) -> Option<Straight> {
        let all = || self.narrow.iter().chain(&self.wide);
        let first = all().next()?.from;
        let decoded = self.reply.is_decoded();
        let vectors = self.stub == Stub::Registers;
        let registers = vectors || self.stub == Stub::Integers;
        if !registers || !self.after.is_empty() || decoded || !self.steps.is_empty() {
            return None;
        }
        let mut straight = Straight {
            integers: [first; enter::STRAIGHT_INTEGERS],
            // Reading 64 bits where only 32 were written just now would be slow.
            vectors: [self.wide.first().map_or(first, |one| one.from); enter::STRAIGHT_VECTORS],
        };
        let register = |one: &Copied, place: fn(u8) -> Option<At>, count: usize| {
            (0..).take(count).position(|register| place(register).and_then(number) == Some(one.to))
        };
        for one in &self.narrow {
            let at = register(one, FrameLayout::integer, enter::STRAIGHT_INTEGERS)?;
            straight.integers[at] = one.from;
        }
        for one in &self.wide {
            let at = register(one, FrameLayout::vector, enter::STRAIGHT_VECTORS)?;
            straight.vectors[at] = one.from;
        }
        Some(straight)
    }
}

/// Whether an op looks whether values fit which always do.
fn always_fits(plan: &Plan, op: &Op) -> bool {
    let Op::FitsObject { moves } = *op else { return false };
    let moves = plan.moves.get(usize::from(moves));
    moves.is_some_and(|moves| moves.iter().all(Move::always_fits))
}
