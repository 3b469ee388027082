//! What the parts of ops are called.
use crate::plan::format::Kind;
use crate::plan::op::{DeepOp, Direction, NativeOp, Null, Op, Phase, Returns, UpcallOp, Width};
use crate::signature::BinaryOp;

pub(super) fn section(phase: Phase) -> &'static str {
    match phase {
        Phase::Before => "before",
        Phase::Call => "call",
        Phase::Facts => "after: facts",
        Phase::Checks => "after: checks",
        Phase::Guest => "after: guest code",
        Phase::Commit => "after: commit",
    }
}

pub(super) fn bytes(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}

pub(super) fn null_name(null: Null) -> &'static str {
    match null {
        Null::IfEmpty => "NULL if empty",
        Null::Allowed => "NULL allowed",
        Null::Refused => "NULL refused",
    }
}

pub(super) fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
        Direction::InOut => "in and out",
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "int",
        Kind::Wide => "int64",
        Kind::Double => "double",
        Kind::LongDouble => "long double",
        Kind::Text => "text",
    }
}

pub(super) fn width_name(width: Width) -> &'static str {
    match width {
        Width::U8 => "u8",
        Width::I8 => "i8",
        Width::U16 => "u16",
        Width::I16 => "i16",
        Width::U32 => "u32",
        Width::I32 => "i32",
        Width::U64 => "u64",
        Width::I64 => "i64",
        Width::I128 => "i128",
    }
}

pub(super) fn returns_name(returns: Returns) -> &'static str {
    match returns {
        Returns::Void => "no result",
        Returns::Record => "result kept",
        Returns::Int8 => "result int8",
        Returns::UInt8 => "result uint8",
        Returns::Int16 => "result int16",
        Returns::UInt16 => "result uint16",
        Returns::Bool => "result bool",
        Returns::Int32 => "result int32",
        Returns::Int64 => "result int64",
        Returns::Long32 => "result int64 that fits i32",
        Returns::ULong32 => "result uint64 that fits u32",
        Returns::Float32 => "result float32",
        Returns::Float64 => "result float64",
        Returns::Vector => "result v128",
    }
}

pub(super) fn binary_name(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Multiply => "*",
        BinaryOp::Divide => "/",
        BinaryOp::Remainder => "%",
        BinaryOp::Add => "+",
        BinaryOp::Subtract => "-",
        BinaryOp::ShiftLeft => "<<",
        BinaryOp::ShiftRight => ">>",
        BinaryOp::Less => "<",
        BinaryOp::LessEqual => "<=",
        BinaryOp::Greater => ">",
        BinaryOp::GreaterEqual => ">=",
        BinaryOp::Equal => "==",
        BinaryOp::NotEqual => "!=",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitXor => "^",
        BinaryOp::BitOr => "|",
        BinaryOp::And => "&&",
        BinaryOp::Or => "||",
    }
}

/// The name of an op.
pub(in crate::plan) fn mnemonic(op: &Op) -> &'static str {
    match op {
        Op::Int8 { .. } => "int8",
        Op::UInt8 { .. } => "uint8",
        Op::Int16 { .. } => "int16",
        Op::UInt16 { .. } => "uint16",
        Op::Bool { .. } => "bool",
        Op::Int32 { .. } => "int32",
        Op::Int64 { .. } => "int64",
        Op::Long32 { .. } => "long32",
        Op::ULong32 { .. } => "ulong32",
        Op::Float32 { .. } => "float32",
        Op::Float64 { .. } => "float64",
        Op::Pair { .. } => "pair",
        Op::Extended { .. } => "extended",
        Op::Vector { .. } => "vector",
        Op::Object { .. } => "object",
        Op::Address { .. } => "address",
        Op::Room { .. } => "room",
        Op::Format { .. } => "format",
        Op::FitsObject { .. } => "fitsobj",
        Op::StoreObject { .. } => "storeobj",
        Op::Range { .. } => "range",
        Op::Evaluate { .. } => "evaluate",
        Op::Require { .. } => "require",
        Op::Value { .. } => "value",
        Op::Buffer { .. } => "buffer",
        Op::Text { .. } => "text",
        Op::Cell { .. } => "cell",
        Op::PointerCell { .. } => "ptrcell",
        Op::TextCell { .. } => "textcell",
        Op::Handle { .. } => "handle",
        Op::Apart { .. } => "apart",
        Op::Reserve { .. } => "reserve",
        Op::Call { .. } => "call",
        Op::Consume { .. } => "consume",
        Op::Measure { .. } => "measure",
        Op::Fits { .. } => "fits",
        Op::Inside { .. } => "inside",
        Op::InsideOr { .. } => "insideor",
        Op::Take { .. } => "take",
        Op::FreeNative { .. } => "free",
        Op::Give { .. } => "give",
        Op::Adopt { .. } => "adopt",
        Op::StoreCell { .. } => "store",
        Op::EndLoans { .. } => "endloans",
        Op::Return { .. } => "return",
        Op::Native(op) => match op {
            NativeOp::Fetch { .. } => "fetch",
            NativeOp::Split { .. } => "split",
            NativeOp::Destination { .. } => "dest",
            NativeOp::Deliver { .. } => "deliver",
        },
        Op::Deep(op) => match op {
            DeepOp::Copy { .. } => "copy",
            DeepOp::Box { .. } => "box",
            DeepOp::Recall { .. } => "recall",
            DeepOp::Fill => "fill",
            DeepOp::Fetch => "fetch",
            DeepOp::Keep { .. } => "keepdeep",
            DeepOp::KeepFunctions { .. } => "keepfns",
            DeepOp::End { .. } => "end",
            DeepOp::Settle => "settle",
            DeepOp::Take { .. } => "takedeep",
            DeepOp::Commit => "giveback",
        },
        Op::Callback(op) => super::callback::mnemonic(*op),
        Op::Life(op) => super::life::mnemonic(*op),
        Op::Upcall(op) => match op {
            UpcallOp::Lend { .. } => "lend",
            UpcallOp::LendBehind { .. } => "lendptr",
            UpcallOp::Join { .. } => "join",
            UpcallOp::Call { .. } => "upcall",
            UpcallOp::Reply { .. } => "reply",
            UpcallOp::ReplySplit { .. } => "repsplit",
            UpcallOp::ReplyHidden { .. } => "rephidden",
        },
    }
}
