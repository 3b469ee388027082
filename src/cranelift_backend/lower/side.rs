//! The guest's side of a trampoline: where its values come from, and how the trampoline is left.
//!
//! ```text
//!                 array                               direct
//! entered by      an ordinary host function           the guest's code, as a function of its own
//! arguments       an array of slots                   registers, and the stack above the return address
//! binding, frame  parameters                          parts of the context
//! redo, resume    a status                            tail calls of ordinary functions of the import
//! result          the first slot                      returned
//! ```
//!
//! Stack arguments are loaded from where the guest has stored them, as wide as it has: what Cranelift
//! would load as parameters is 8 bytes wide, waits for stores of 4 to reach the cache, and comes before
//! anything else.
use super::native::Plain;
use super::{Lower, Way};
use crate::cranelift_backend::direct::{self, Context, FuncRef};
use crate::cranelift_backend::{Status, Unsupported};
use crate::plan::abi::Location;
use crate::plan::binding::Gate;
use crate::plan::frame::FrameHead;
use crate::plan::op::Returns;
use crate::plan::{Binding, Plan};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, Endianness, InstBuilder, MemFlagsData, Signature, Type, Value, types,
};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use std::mem::offset_of;

/// See the module.
pub(super) enum Side {
    Array { binding: Value, slots: Value },
    Direct(Wasm),
    Plain(Plain),
}

/// What the guest's code has passed.
pub(super) struct Wasm {
    context: Value,
    /// That of the instance that calls.
    caller: Value,
    /// This function's, for stack arguments.
    frame_pointer: Value,
    params: Vec<Param>,
    result: Option<Value>,
}

/// Where an argument of the guest is.
#[derive(Clone, Copy)]
enum Param {
    Register(Value),
    /// So far above the frame pointer.
    Stack {
        ty: Type,
        offset: usize,
    },
}

impl Side {
    /// What the parameters of a trampoline are, and its frame.
    pub(super) fn enter(
        b: &mut FunctionBuilder<'_>,
        entry: Block,
        plan: &Plan,
        way: Way,
    ) -> Result<(Side, Value), Unsupported> {
        let values = b.block_params(entry).to_vec();
        match (way, &*values) {
            (Way::Array, [binding, slots, frame]) => {
                Ok((Side::Array { binding: *binding, slots: *slots }, *frame))
            }
            (Way::Plain, &[function, arguments, result]) => {
                // There is no frame: native code gets the address of nothing of it.
                let frame = b.ins().iconst(types::I64, 0);
                Ok((Side::Plain(Plain { function, arguments, result }), frame))
            }
            (Way::Direct, [context, caller, values @ ..]) => {
                let frame_pointer = b.ins().get_frame_pointer(types::I64);
                let param = |(value, place): (&Value, Location)| match place {
                    // Above the saved frame pointer and the return address.
                    Location::Stack(offset) => Param::Stack {
                        ty: b.func.dfg.value_type(*value),
                        offset: 16 + offset as usize,
                    },
                    Location::Integer(_) | Location::Vector(_) | Location::X87(_) => {
                        Param::Register(*value)
                    }
                };
                let params = values
                    .iter()
                    .zip(direct::places_of(&plan.lowering.params)?)
                    .map(param)
                    .collect();
                let (context, caller) = (*context, *caller);
                let offset = b.ins().iconst(types::I64, Context::FRAME as i64);
                let frame = b.ins().iadd(context, offset);
                let wasm = Wasm { context, caller, frame_pointer, params, result: None };
                Ok((Side::Direct(wasm), frame))
            }
            _ => Err(Unsupported::Codegen("a trampoline has other parameters".to_owned())),
        }
    }
}

impl Lower<'_> {
    pub(super) fn is_direct(&self) -> bool {
        matches!(self.side, Side::Direct(_))
    }

    /// A word of the binding.
    pub(super) fn binding(&mut self, ty: Type, offset: usize) -> Value {
        match self.side {
            Side::Array { binding, .. } => self.load(ty, binding, offset),
            // There is no binding; of its words only one is asked for.
            Side::Plain(plain) => plain.function,
            Side::Direct(Wasm { context, .. }) => {
                self.load(ty, context, offset_of!(Context, binding) + offset)
            }
        }
    }

    /// Direct calls go on only where native code finds enough stack and nobody has something to tell:
    /// see [`Gate`].
    pub(super) fn pass_gate(&mut self) {
        let Side::Direct(Wasm { context, caller, .. }) = self.side else { return };
        let store = self.load(types::I64, caller, direct::store_context());
        let limit = self.load(types::I64, store, direct::stack_limit());
        let gate = self.load(types::I64, context, offset_of!(Context, gate));
        let low = self.load(types::I64, gate, Gate::LOW);
        let span = self.load(types::I64, gate, Gate::SPAN);
        let above = self.b.ins().isub(limit, low);
        let stopped = self.compare(IntCC::UnsignedGreaterThan, above, span);
        self.refuse(stopped);
    }

    /// Bits of a guest's slot.
    pub(super) fn slot(&mut self, ty: Type, slot: u16) -> Value {
        let wasm = match &self.side {
            Side::Array { slots, .. } => return self.load(ty, *slots, 16 * usize::from(slot)),
            Side::Direct(wasm) => wasm,
            Side::Plain(plain) => return plain.arguments, // such plans have no slots
        };
        // The verifier has seen that there is such a slot.
        match wasm.params[usize::from(slot)] {
            Param::Stack { offset, .. } => self.load(ty, wasm.frame_pointer, offset),
            Param::Register(value) => self.as_type(value, ty),
        }
    }

    /// The low bits of an integer, or the bits of a number.
    fn as_type(&mut self, value: Value, ty: Type) -> Value {
        let from = self.b.func.dfg.value_type(value);
        if from == ty {
            return value;
        }
        match (from.is_int(), ty.is_int()) {
            (true, true) if from.bits() > ty.bits() => self.b.ins().ireduce(ty, value),
            (true, true) => self.b.ins().uextend(ty, value),
            _ if from.bits() > ty.bits() => {
                let whole = self.as_type(value, types::I64);
                let low = self.b.ins().ireduce(types::I32, whole);
                self.as_type(low, ty)
            }
            _ => {
                let little = MemFlagsData::new().with_endianness(Endianness::Little);
                self.b.ins().bitcast(ty, little, value)
            }
        }
    }

    /// A `v128` as two words.
    pub(super) fn slot_halves(&mut self, slot: u16) -> [Value; 2] {
        let (from, offset) = match &self.side {
            Side::Array { slots, .. } => (*slots, 16 * usize::from(slot)),
            Side::Direct(wasm) => match wasm.params[usize::from(slot)] {
                Param::Stack { offset, .. } => (wasm.frame_pointer, offset),
                Param::Register(vector) => return [0, 1].map(|half| self.half(vector, half)),
            },
            Side::Plain(plain) => (plain.arguments, 0), // such plans have no slots
        };
        [0, 8].map(|half| self.load(types::I64, from, offset + half))
    }

    /// `errno` is kept where the guest asks for it.
    pub(super) fn keep_errno(&mut self, errno: Value) {
        match self.side {
            Side::Array { binding, .. } => {
                self.store(errno, binding, offset_of!(Binding, errno));
            }
            Side::Direct(Wasm { context, .. }) => {
                let place = self.load(types::I64, context, offset_of!(Context, errno));
                self.store(errno, place, 0);
            }
            Side::Plain(_) => {}
        }
    }

    /// The result for the guest: 64 bits of which the low ones count, or a number, or a vector.
    pub(super) fn give_result(&mut self, value: Value) {
        if let Side::Array { slots, .. } = self.side {
            return self.store(value, slots, 0);
        }
        let ty = self.b.func.signature.returns.first().map(|result| result.value_type);
        let value = ty.map(|ty| self.as_type(value, ty));
        if let Side::Direct(wasm) = &mut self.side {
            wasm.result = value;
        }
    }

    /// The interpreter reads these two from the frame. The host writes them itself when it comes in
    /// by a door.
    pub(super) fn write_head(&mut self) {
        if let Side::Array { binding, slots } = self.side {
            self.store(slots, self.frame, offset_of!(FrameHead, guest));
            self.store(binding, self.frame, offset_of!(FrameHead, binding));
        }
    }

    pub(super) fn leave(&mut self, status: Status) {
        let wasm = match &self.side {
            Side::Array { .. } => {
                let status = self.b.ins().iconst(types::I32, status as i64);
                self.b.ins().return_(&[status]);
                return;
            }
            Side::Direct(wasm) => wasm,
            Side::Plain(_) => {
                self.b.ins().return_(&[]);
                return;
            }
        };
        let context = wasm.context;
        match status {
            Status::Done => {
                let result: Vec<Value> = wasm.result.into_iter().collect();
                self.b.ins().return_(&result);
            }
            Status::Redo => self.door(offset_of!(Context, redo)),
            Status::Resume => {
                let pending = self.b.ins().iconst(types::I32, 1);
                self.store(pending, context, offset_of!(Context, pending));
                self.door(offset_of!(Context, resume));
            }
        }
    }

    /// Goes on in an ordinary function of the import, with the arguments of this call.
    fn door(&mut self, function: usize) {
        let Side::Direct(Wasm { context, caller, frame_pointer, ref params, .. }) = self.side
        else {
            return;
        };
        let params = params.clone();
        let function = self.load(types::I64, context, function);
        let code = self.load(types::I64, function, offset_of!(FuncRef, wasm_call));
        let theirs = self.load(types::I64, function, offset_of!(FuncRef, vmctx));
        let mut arguments = vec![theirs, caller];
        for param in params {
            arguments.push(match param {
                Param::Register(value) => value,
                Param::Stack { ty, offset } => self.load(ty, frame_pointer, offset),
            });
        }
        let signature = self.b.func.signature.clone();
        let signature = self.b.import_signature(signature);
        self.b.ins().return_call_indirect(signature, code, &arguments);
    }

    /// Whether native code may return straight to the guest: the result is its own already.
    pub(super) fn can_jump(&self, returns: Returns) -> bool {
        let same = match returns {
            Returns::Void
            | Returns::Int32
            | Returns::Int64
            | Returns::Float32
            | Returns::Float64
            | Returns::Vector => true,
            Returns::Record
            | Returns::Int8
            | Returns::UInt8
            | Returns::Int16
            | Returns::UInt16
            | Returns::Bool
            | Returns::Long32
            | Returns::ULong32 => false,
        };
        same && self.is_direct() && self.after == super::After::None && self.signature.stack == 0
    }

    /// Calls native code by a jump. With arguments in registers only, and at most one result in the first
    /// register of its kind, wasm's convention is that of C: see `direct::try_jump`.
    pub(super) fn jump_to_native(
        &mut self,
        mut signature: Signature,
        arguments: &[Value],
    ) -> Result<(), Unsupported> {
        let results: Vec<AbiParam> = self.b.func.signature.returns.clone();
        signature.call_conv = CallConv::Tail;
        signature.returns = results;
        let signature = self.b.import_signature(signature);
        let target = self.binding(types::I64, offset_of!(Binding, target));
        self.b.ins().return_call_indirect(signature, target, arguments);
        self.jumped = true;
        Ok(())
    }
}
