//! Calls on plain C values in memory: the `ffi` API's.
//!
//! ```text
//! f(function, arguments, result)          arguments: an array of addresses
//! ```
//!
//! There is nothing that can fail, so that such code has no doors.
use super::Lower;
use super::emit::ANY;
use super::places::{Word, is_vector_image};
use super::side::Side;
use crate::cranelift_backend::Unsupported;
use crate::plan::op::{At, Fetch, NativeOp, Returns, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, Type, Value, types};
use cranelift_codegen::isa::CallConv;

/// What the caller of the code has passed.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub function: Value,
    pub arguments: Value,
    pub result: Value,
}

/// The type of such code.
pub(super) fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(types::I64); 3]);
    signature
}

impl Lower<'_> {
    fn values(&self, op: usize) -> Result<Plain, Unsupported> {
        match self.side {
            Side::Plain(plain) => Ok(plain),
            Side::Array { .. } | Side::Direct(_) => Err(Unsupported::Misplaced { op }),
        }
    }

    /// One op before the call.
    pub(super) fn native_before(&mut self, index: usize, op: NativeOp) -> Result<(), Unsupported> {
        let plain = self.values(index)?;
        match op {
            NativeOp::Fetch { arg, to, fetch } => {
                let at = self.argument_at(plain, arg);
                self.fetch(at, to, fetch);
                Ok(())
            }
            NativeOp::Split { arg, moves } => {
                let at = self.argument_at(plain, arg);
                self.split(at, moves)
            }
            NativeOp::Destination { to } => {
                self.place(to, Word::integer(plain.result));
                Ok(())
            }
            NativeOp::Deliver { .. } => Err(Unsupported::Misplaced { op: index }),
        }
    }

    /// The one op after it.
    pub(super) fn native_after(&mut self, index: usize, op: NativeOp) -> Result<(), Unsupported> {
        let plain = self.values(index)?;
        match op {
            NativeOp::Deliver { moves } => self.put_together(moves, plain.result),
            NativeOp::Fetch { .. } | NativeOp::Split { .. } | NativeOp::Destination { .. } => {
                Err(Unsupported::Misplaced { op: index })
            }
        }
    }

    /// Where an argument is.
    fn argument_at(&mut self, plain: Plain, arg: u16) -> Value {
        self.load(types::I64, plain.arguments, 8 * usize::from(arg))
    }

    /// Values need not be aligned.
    fn fetch(&mut self, at: Value, to: At, fetch: Fetch) {
        let vector = is_vector_image(to.offset());
        let signed = |this: &mut Self, ty: Type| {
            let value = this.b.ins().load(ty, ANY, at, 0);
            let value =
                if ty == types::I64 { value } else { this.b.ins().sextend(types::I64, value) };
            Word::integer(value)
        };
        let unsigned = |this: &mut Self, ty: Type| {
            let value = this.b.ins().load(ty, ANY, at, 0);
            let bits = u8::try_from(ty.bits()).unwrap_or(64);
            Word::Integer { value: this.b.ins().uextend(types::I64, value), bits }
        };
        let word = match fetch {
            Fetch::Integer(Width::I8) => signed(self, types::I8),
            Fetch::Integer(Width::U8) => unsigned(self, types::I8),
            Fetch::Integer(Width::I16) => signed(self, types::I16),
            Fetch::Integer(Width::U16) => unsigned(self, types::I16),
            Fetch::Integer(Width::I32) => signed(self, types::I32),
            Fetch::Integer(Width::U32) => unsigned(self, types::I32),
            Fetch::Bool => {
                let value = self.b.ins().load(types::I8, ANY, at, 0);
                let truth = self.b.ins().icmp_imm_u(IntCC::NotEqual, value, 0);
                Word::Integer { value: self.b.ins().uextend(types::I64, truth), bits: 1 }
            }
            Fetch::Float32 if vector => Word::Float32(self.b.ins().load(types::F32, ANY, at, 0)),
            Fetch::Float32 => unsigned(self, types::I32),
            Fetch::Float64 if vector => Word::Float64(self.b.ins().load(types::F64, ANY, at, 0)),
            Fetch::Integer(Width::I64 | Width::U64) | Fetch::Float64 => signed(self, types::I64),
            Fetch::Integer(Width::I128) | Fetch::Whole if vector => {
                Word::Vector(self.b.ins().load(types::I8X16, ANY, at, 0))
            }
            Fetch::Integer(Width::I128) | Fetch::Whole => {
                let high = self.b.ins().load(types::I64, ANY, at, 8);
                self.set_word(to.offset() + 8, Word::integer(high));
                signed(self, types::I64)
            }
        };
        self.place(to, word);
    }

    /// What a function has returned in one register, as wide as its type.
    pub(super) fn deliver(&mut self, from: At, returns: Returns) -> Result<(), Unsupported> {
        let Side::Plain(plain) = self.side else { return Ok(()) };
        let bytes = match returns {
            Returns::Void | Returns::Record => return Ok(()),
            Returns::Int8 | Returns::UInt8 | Returns::Bool => 1,
            Returns::Int16 | Returns::UInt16 => 2,
            Returns::Int32 | Returns::Float32 => 4,
            Returns::Int64 | Returns::Float64 => 8,
            // These are a guest's.
            Returns::Long32 | Returns::ULong32 | Returns::Vector => {
                return Err(Unsupported::Place { at: from });
            }
        };
        let value = match self.places.word(from.offset()) {
            Some(Word::Float32(value)) if bytes == 4 => value,
            Some(Word::Float64(value)) if bytes == 8 => value,
            _ => {
                let mut value = self.bytes_at(from.offset(), bytes)?;
                if returns == Returns::Bool {
                    value = self.b.ins().band_imm_u(value, 1);
                }
                self.store_bytes(value, plain.result, 0, bytes);
                return Ok(());
            }
        };
        self.store_guest(value, plain.result, 0);
        Ok(())
    }
}
