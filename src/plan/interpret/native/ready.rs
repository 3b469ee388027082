//! What is decided once for all calls of a plan.
use crate::plan::Plan;
use crate::plan::abi::Location;
use crate::plan::frame::FrameLayout;
use crate::plan::interpret::SMALL_FRAME;
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::{At, Fetch, NativeOp, Op, Returns, Stub, Width};

/// Bytes that are copied: from so far into an argument to a place of the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) arg: u16,
    pub(super) from: u16,
    pub(super) to: u16,
}

/// Which registers hold the result, its first eight bytes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Integer,
    Vector,
    Integers,
    Vectors,
    IntegerVector,
    VectorInteger,
    /// Others: they go through the call record.
    Record,
}

/// A plan that is ready to be run.
///
/// The order in which arguments are placed does not matter: each place is written once, and nothing of
/// the frame is read before the call. So the ops that most calls consist of are sorted by what they do,
/// and each kind of them is one short loop without a decision in it.
#[derive(Debug)]
pub struct Ready {
    pub(super) plan: Plan,
    /// First those of 8 bytes, then those of 4 that are extended with their sign, then those of 4 that
    /// are extended with zeros.
    pub(super) copies: Box<[Copied]>,
    pub(super) words: usize,
    pub(super) signed: usize,
    /// Everything else before the call.
    pub(super) others: Box<[NativeOp]>,
    pub(super) stub: Stub,
    pub(super) source: Source,
    /// Bytes of a result in registers.
    pub(super) size: u8,
    pub(super) is_bool: bool,
    /// The frame is a small one.
    pub(super) small: bool,
}

impl Ready {
    /// Sorts the ops of a verified plan of the kind [`Call`](crate::plan::Kind::Call).
    #[must_use]
    pub fn new(plan: Plan) -> Ready {
        let [mut words, mut signed, mut unsigned] = [const { Vec::new() }; 3];
        let mut others = Vec::new();
        let (mut stub, mut returns) = (Stub::Integers, Returns::Void);
        let to16 = |n: usize| u16::try_from(n).expect("frames and arguments are small");
        for op in &plan.ops[..=usize::from(plan.call)] {
            if let Op::Call { stub: with, returns: how } = *op {
                (stub, returns) = (with, how);
            }
            let Op::Native(op) = *op else { continue };
            match op {
                NativeOp::Fetch { arg, to, fetch } => {
                    let copied = Copied { arg, from: 0, to: to16(to.offset()) };
                    match fetch {
                        Fetch::Integer(Width::I64 | Width::U64) | Fetch::Float64 => {
                            words.push(copied);
                        }
                        Fetch::Integer(Width::I32) => signed.push(copied),
                        Fetch::Integer(Width::U32) | Fetch::Float32 => unsigned.push(copied),
                        Fetch::Whole => words.extend([0, 8].map(|from| Copied {
                            from,
                            to: copied.to + from,
                            ..copied
                        })),
                        Fetch::Integer(
                            Width::I8 | Width::U8 | Width::I16 | Width::U16 | Width::I128,
                        )
                        | Fetch::Bool => others.push(op),
                    }
                }
                NativeOp::Split { arg, moves } => {
                    let moves = &plan.moves[usize::from(moves)];
                    let of = |one: &Move| {
                        let from = to16(one.memory as usize);
                        Copied { arg, from, to: to16(one.frame.offset()) }
                    };
                    if moves.iter().all(|one| one.kind == MoveKind::Bytes(8)) {
                        words.extend(moves.iter().map(of));
                    } else {
                        others.push(op);
                    }
                }
                NativeOp::Destination { .. } | NativeOp::Deliver { .. } => others.push(op),
            }
        }
        let (source, size) = source(&plan, returns);
        let (first, second) = (words.len(), words.len() + signed.len());
        let copies = [words, signed, unsigned].concat().into();
        let small = usize::from(plan.frame.size) <= SMALL_FRAME;
        Ready {
            plan,
            copies,
            words: first,
            signed: second,
            others: others.into(),
            stub,
            source,
            size,
            is_bool: returns == Returns::Bool,
            small,
        }
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Which registers hold a result of at most 16 bytes, and how many bytes it has.
fn source(plan: &Plan, returns: Returns) -> (Source, u8) {
    match returns {
        Returns::Int8 | Returns::UInt8 | Returns::Bool => (Source::Integer, 1),
        Returns::Int16 | Returns::UInt16 => (Source::Integer, 2),
        Returns::Int32 => (Source::Integer, 4),
        Returns::Int64 => (Source::Integer, 8),
        Returns::Float32 => (Source::Vector, 4),
        Returns::Float64 => (Source::Vector, 8),
        Returns::Record => in_two(plan).unwrap_or((Source::Record, 0)),
        // The last three are a guest's.
        Returns::Void | Returns::Long32 | Returns::ULong32 | Returns::Vector => {
            (Source::Integer, 0)
        }
    }
}

/// As [`source`], of a result that `Deliver` puts together from the low halves of one or two registers.
fn in_two(plan: &Plan) -> Option<(Source, u8)> {
    let Some(Op::Native(NativeOp::Deliver { moves })) = plan.ops.last() else { return None };
    let mut halves = [None; 2];
    let mut size = 0;
    for one in &plan.moves[usize::from(*moves)] {
        let MoveKind::Bytes(bytes) = one.kind else { return None };
        // Two integer registers lie side by side.
        for start in (0..u32::from(bytes)).step_by(8) {
            let at = At::new(one.frame.offset() + start as usize)?;
            let is = |location| FrameLayout::result_register(location) == Some(at);
            let integer = (0..2).find(|number| is(Location::Integer(*number)));
            let vector = (0..2).find(|number| is(Location::Vector(*number)));
            let half = halves.get_mut((one.memory + start) as usize / 8)?;
            if !(one.memory + start).is_multiple_of(8) || half.is_some() {
                return None;
            }
            *half = Some((integer, vector));
        }
        let wide =
            bytes > 8 && FrameLayout::result_register(Location::Integer(0)) != Some(one.frame);
        if wide {
            return None;
        }
        size = size.max(one.memory + u32::from(bytes));
    }
    let source = match halves {
        [Some((Some(0), _)), None] => Source::Integer,
        [Some((_, Some(0))), None] => Source::Vector,
        [Some((Some(0), _)), Some((Some(1), _))] => Source::Integers,
        [Some((_, Some(0))), Some((_, Some(1)))] => Source::Vectors,
        [Some((Some(0), _)), Some((_, Some(0)))] => Source::IntegerVector,
        [Some((_, Some(0))), Some((Some(0), _))] => Source::VectorInteger,
        _ => return None,
    };
    Some((source, u8::try_from(size).ok()?))
}
