//! Ops of plans without a guest, and tables of moves, as text.
use super::Printer;
use super::names::width_name;
use crate::plan::moves::{Move, MoveKind};
use crate::plan::op::{Fetch, NativeOp, UpcallOp};

impl Printer<'_> {
    pub(super) fn native(&self, op: NativeOp) -> String {
        match op {
            NativeOp::Fetch { arg, to, fetch } => {
                format!("argument {arg} -> {}, {}", self.at(to), fetch_name(fetch))
            }
            NativeOp::Split { arg, moves } => format!("argument {arg}, moves {moves}"),
            NativeOp::Destination { to } => format!("-> {}", self.at(to)),
            NativeOp::Deliver { moves } => format!("moves {moves}"),
        }
    }

    pub(super) fn upcall(&self, op: UpcallOp) -> String {
        match op {
            UpcallOp::Lend { from } => self.at(from),
            UpcallOp::LendBehind { from } => format!("where {} points", self.at(from)),
            UpcallOp::Join { moves, offset } => format!("moves {moves} -> scratch {offset}"),
            UpcallOp::Call { result, hidden: None } => format!("result at scratch {result}"),
            UpcallOp::Call { hidden: Some(at), .. } => {
                format!("result where {} points", self.at(at))
            }
            UpcallOp::Reply { fetch } => fetch_name(fetch).to_owned(),
            UpcallOp::ReplySplit { moves } => format!("moves {moves}"),
            UpcallOp::ReplyHidden { from } => self.at(from),
        }
    }

    /// One line of a table of moves.
    pub(super) fn moved_bytes(&self, one: &Move) -> String {
        let (memory, frame) = (one.memory, self.within(one.frame));
        match one.kind {
            MoveKind::Clear(bytes) => format!("clear {bytes} at {frame}"),
            MoveKind::Bytes(bytes) => format!("{bytes} at {memory} <-> {frame}"),
            MoveKind::Bits(mask) => format!("bits {mask:#04x} at {memory} <-> {frame}"),
            MoveKind::Bool => format!("bool at {memory} <-> {frame}"),
            MoveKind::Signed32 => format!("i32 at {memory} <-> i64 {frame}"),
            MoveKind::Unsigned32 => format!("u32 at {memory} <-> u64 {frame}"),
            MoveKind::Extended => format!("binary128 at {memory} <-> x87 {frame}"),
        }
    }
}

pub(super) fn fetch_name(fetch: Fetch) -> &'static str {
    match fetch {
        Fetch::Integer(width) => width_name(width),
        Fetch::Bool => "bool",
        Fetch::Float32 => "float32",
        Fetch::Float64 => "8 bytes",
        Fetch::Whole => "16 bytes",
    }
}
