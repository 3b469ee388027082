//! How scalars are converted on their way in and out.
use super::demand::Reader;
use crate::plan::WasmType;
use crate::plan::layout::{DataModel, Scalar};
use crate::plan::op::{Op, Returns, Width};
use crate::signature::Float;

impl Reader {
    /// The one op that makes an argument of that type from a guest value.
    pub(super) fn scalar_op(
        &self,
        scalar: Scalar,
        wasm: WasmType,
        slot: u16,
        to: crate::plan::op::At,
    ) -> Option<Op> {
        if scalar == Scalar::Bool {
            return Some(Op::Bool { slot, to });
        }
        match scalar {
            Scalar::Float(Float::Float) => return Some(Op::Float32 { slot, to }),
            Scalar::Float(Float::Double) => return Some(Op::Float64 { slot, to }),
            _ => {}
        }
        Some(match (self.width(scalar, DataModel::Lp64)?, wasm) {
            (Width::I8, _) => Op::Int8 { slot, to },
            (Width::U8, _) => Op::UInt8 { slot, to },
            (Width::I16, _) => Op::Int16 { slot, to },
            (Width::U16, _) => Op::UInt16 { slot, to },
            (Width::I32 | Width::U32, _) => Op::Int32 { slot, to },
            (Width::I64 | Width::U64, WasmType::I64) => Op::Int64 { slot, to },
            (Width::I64, _) => Op::Long32 { slot, to },
            (Width::U64, _) => Op::ULong32 { slot, to },
            (Width::I128, _) => return None,
        })
    }

    /// How a scalar result becomes the guest's.
    pub(super) fn returns(&self, scalar: Scalar, wasm: WasmType) -> Option<Returns> {
        if scalar == Scalar::Bool {
            return Some(Returns::Bool);
        }
        match scalar {
            Scalar::Float(Float::Float) => return Some(Returns::Float32),
            Scalar::Float(Float::Double) => return Some(Returns::Float64),
            _ => {}
        }
        Some(match (self.width(scalar, DataModel::Lp64)?, wasm) {
            (Width::I8, _) => Returns::Int8,
            (Width::U8, _) => Returns::UInt8,
            (Width::I16, _) => Returns::Int16,
            (Width::U16, _) => Returns::UInt16,
            (Width::I32 | Width::U32, _) => Returns::Int32,
            (Width::I64 | Width::U64, WasmType::I64) => Returns::Int64,
            (Width::I64, _) => Returns::Long32,
            (Width::U64, _) => Returns::ULong32,
            (Width::I128, _) => return None,
        })
    }
}
