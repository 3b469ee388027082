//! How a value that is taken apart meets its pieces.
use super::leaves::Leaf;
use crate::plan::abi::{Location, Value};
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::At;
use crate::signature::{Diagnostic, Span};

/// A run of bytes of a value that travels in one run of bytes of the frame.
#[derive(Clone, Copy, Debug)]
struct Run {
    host: u64,
    bytes: u64,
    frame: usize,
    /// Bytes of the frame that belong to it: whole registers and slots.
    room: u64,
}

/// The moves of a value that travels in pieces. `image` says where in the frame a piece is. With
/// `clear`, bytes of registers and slots that nothing is moved to are zeroed.
///
/// # Errors
/// When a piece has no place in the frame.
pub(super) fn in_pieces(
    leaves: &[Leaf],
    value: &Value,
    image: impl Fn(Location) -> Option<At>,
    clear: bool,
    span: Span,
) -> Result<Box<[Move]>, Diagnostic> {
    let mut runs: Vec<Run> = Vec::with_capacity(value.pieces.len());
    for piece in &value.pieces {
        let Some(at) = image(piece.location) else {
            let message = "this value does not fit the memory that a call has for its arguments";
            return Err(Diagnostic::new(span, message).help("pass a pointer to it"));
        };
        let (host, bytes, frame) = (piece.offset.into(), piece.size.into(), at.offset());
        let room = u64::from(piece.size).next_multiple_of(8);
        match runs.last_mut() {
            // Integer registers and stack slots lie side by side.
            Some(last)
                if last.host + last.bytes == host
                    && u64::try_from(frame - last.frame.min(frame)) == Ok(last.bytes) =>
            {
                last.bytes += bytes;
                last.room = last.bytes.next_multiple_of(8);
            }
            _ => runs.push(Run { host, bytes, frame, room }),
        }
    }
    let mut moves = Vec::new();
    for run in &runs {
        let inside = |leaf: &Leaf| cut(leaf, run);
        let moved: Vec<Move> = leaves.iter().filter_map(inside).collect();
        let covered: u64 = moved.iter().map(|one| covers(one.kind)).sum();
        if clear
            && covered < run.room
            && let (Some(frame), Ok(bytes)) = (At::new(run.frame), u16::try_from(run.room))
        {
            moves.push(Move { memory: 0, frame, kind: MoveKind::Clear(bytes) });
        }
        moves.extend(moved);
    }
    Ok(moves.into())
}

/// The moves of a value that lies whole at `base`, as C has it.
pub(super) fn in_place(leaves: &[Leaf], base: At, size: u64, clear: bool) -> Box<[Move]> {
    let run = Run { host: 0, bytes: size, frame: base.offset(), room: size };
    let mut moves: Vec<Move> = leaves.iter().filter_map(|leaf| cut(leaf, &run)).collect();
    let covered: u64 = moves.iter().map(|one| covers(one.kind)).sum();
    if clear
        && covered < size
        && let Ok(bytes) = u16::try_from(size)
    {
        moves.insert(0, Move { memory: 0, frame: base, kind: MoveKind::Clear(bytes) });
    }
    moves.into()
}

/// Bytes of the frame that a move fills.
fn covers(kind: MoveKind) -> u64 {
    match kind {
        MoveKind::Clear(_) | MoveKind::Bits(_) => 0,
        MoveKind::Bytes(_)
        | MoveKind::Bool
        | MoveKind::Signed32
        | MoveKind::Unsigned32
        | MoveKind::Extended => kind.frame_bytes().into(),
    }
}

/// The part of a leaf that travels in a run.
fn cut(leaf: &Leaf, run: &Run) -> Option<Move> {
    let start = leaf.host.max(run.host);
    let end = (leaf.host + u64::from(leaf.kind.frame_bytes())).min(run.host + run.bytes);
    let bytes = end.checked_sub(start).filter(|bytes| *bytes > 0)?;
    let frame = At::new(run.frame + usize::try_from(start - run.host).ok()?)?;
    let memory = u32::try_from(leaf.memory + (start - leaf.host)).ok()?;
    let kind = match leaf.kind {
        MoveKind::Bytes(_) => MoveKind::Bytes(u16::try_from(bytes).ok()?),
        // Never split: these are aligned, or the whole value is in memory. What the x87's format has
        // behind its 10 bytes may lie outside.
        other => other,
    };
    Some(Move { memory, frame, kind })
}
