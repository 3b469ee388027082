//! The CLIF of an entry.
use super::read::{Arrival, How, Register, Reply, read, signature};
use crate::cranelift_backend::Unsupported;
use crate::cranelift_backend::lower::{Lowered, Notes};
use crate::plan::Plan;
use crate::plan::interpret::callback::Words;
use crate::plan::op::{Fetch, Returns, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    AbiParam, Block, BlockArg, Function, InstBuilder, MemFlagsData, SigRef, Signature, StackSlot,
    StackSlotData, StackSlotKind, Type, Value, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

/// Words of closures, and slots.
const HOST: MemFlagsData = MemFlagsData::trusted();
/// Bytes of a guest slot.
const SLOT: u32 = 16;

/// The CLIF of an entry. Its signature is that of the C function, with the closure behind the integers.
pub(in crate::cranelift_backend) fn lower(
    plan: &Plan,
    config: TargetFrontendConfig,
    context: &mut FunctionBuilderContext,
) -> Result<Lowered, Unsupported> {
    let (arrivals, reply) = read(plan)?;
    let signature = signature(&arrivals, reply)?;
    let closure = usize::from(signature.integers) - 1;
    let mut function = Function::new();
    function.signature = signature.clif()?;
    let mut b = FunctionBuilder::new(&mut function, context);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let params = b.block_params(entry).to_vec();
    let back = b.create_block();
    let count = u32::try_from(plan.lowering.params.len().max(1)).unwrap_or(u32::MAX);
    let size = count.saturating_mul(SLOT);
    let slots = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4));
    let closure = params[closure];
    let wide = plan.facts.wide;
    let mut typed = Lower { b, params, closure, slots, back, wide, notes: Notes::default() };
    typed.arrive(&arrivals, signature.integers)?;
    typed.note(plan.call.into());
    typed.enter_and_reply(reply, usize::from(plan.call) + 1);
    typed.go_back();
    let Lower { mut b, notes, .. } = typed;
    b.seal_all_blocks();
    b.finalize(config);
    Ok(Lowered { function, signature, notes, resumes: false })
}

/// An entry on its way to CLIF.
struct Lower<'a> {
    b: FunctionBuilder<'a>,
    params: Vec<Value>,
    closure: Value,
    slots: StackSlot,
    /// Where arguments go that do not fit.
    back: Block,
    wide: bool,
    notes: Notes,
}

impl Lower<'_> {
    fn note(&mut self, op: usize) {
        let next = u32::try_from(self.b.func.dfg.num_insts()).unwrap_or(u32::MAX);
        self.notes.ops.push((next, op));
    }

    fn block(&mut self, what: &'static str) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.notes.blocks.push((block.as_u32(), what));
        block
    }

    fn word(&mut self, ty: Type, offset: usize) -> Value {
        let offset = i32::try_from(offset).expect("closures are small");
        self.b.ins().load(ty, HOST, self.closure, offset)
    }

    fn write(&mut self, value: Value, slot: u16) {
        let offset = i32::try_from(SLOT * u32::from(slot)).expect("there are few slots");
        let slots = self.slots();
        self.b.ins().store(HOST, value, slots, offset);
    }

    /// Where the slots are.
    fn slots(&mut self) -> Value {
        self.b.ins().stack_addr(types::I64, self.slots, 0)
    }

    /// The low half of an integer register, made 32 bits of those of its low bits.
    fn low(&mut self, value: Value, bits: Type, signed: bool) -> Value {
        let low = self.b.ins().ireduce(bits, value);
        match (bits == types::I32, signed) {
            (true, _) => low,
            (false, true) => self.b.ins().sextend(types::I32, low),
            (false, false) => self.b.ins().uextend(types::I32, low),
        }
    }

    /// Goes on where the value is not zero.
    fn check(&mut self, holds: Value) {
        let next = self.b.create_block();
        self.b.ins().brif(holds, next, &[], self.back, &[]);
        self.b.switch_to_block(next);
    }

    fn arrive(&mut self, arrivals: &[Arrival], integers: u8) -> Result<(), Unsupported> {
        for arrival in arrivals {
            self.note(arrival.op);
            let index = match arrival.from {
                Register::Integer(number) => usize::from(number),
                Register::Vector(number) => usize::from(integers) + usize::from(number),
            };
            let value = self.params[index];
            let value = match arrival.how {
                How::Inside => self.inside(value),
                How::Cookie => self.cookie(value),
                How::Scalar(returns) => match returns {
                    Returns::Int8 => self.low(value, types::I8, true),
                    Returns::UInt8 => self.low(value, types::I8, false),
                    Returns::Int16 => self.low(value, types::I16, true),
                    Returns::UInt16 => self.low(value, types::I16, false),
                    Returns::Int32 => self.low(value, types::I32, true),
                    Returns::Bool => {
                        let low = self.low(value, types::I32, false);
                        self.b.ins().band_imm_u(low, 1)
                    }
                    Returns::Long32 => {
                        let low = self.low(value, types::I32, true);
                        let same = self.b.ins().sextend(types::I64, low);
                        let fits = self.b.ins().icmp(IntCC::Equal, same, value);
                        self.check(fits);
                        low
                    }
                    Returns::ULong32 => {
                        let low = self.low(value, types::I32, false);
                        let same = self.b.ins().uextend(types::I64, low);
                        let fits = self.b.ins().icmp(IntCC::Equal, same, value);
                        self.check(fits);
                        low
                    }
                    Returns::Int64 | Returns::Float32 | Returns::Float64 => value,
                    Returns::Void | Returns::Record | Returns::Vector => {
                        return Err(Unsupported::Misplaced { op: arrival.op });
                    }
                },
            };
            self.write(value, arrival.slot);
        }
        Ok(())
    }

    /// A pointer to the guest's own memory, or NULL. One to its end goes back.
    fn inside(&mut self, native: Value) -> Value {
        // Both words are read where they are used, each time: as operands of the two instructions.
        let base = self.word(types::I64, Words::MEMORY_BASE);
        let offset = self.b.ins().isub(native, base);
        let len = self.word(types::I64, Words::MEMORY_LEN);
        // 4 GiB at most, where offsets have 32 bits.
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThan, offset, len);
        self.or_null(native, offset, inside)
    }

    /// An integer that C got as a cookie, or NULL.
    fn cookie(&mut self, native: Value) -> Value {
        let start = self.word(types::I64, Words::COOKIES);
        let offset = self.b.ins().isub(native, start);
        let most = self.b.ins().iconst(types::I64, i64::from(u32::MAX));
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, offset, most);
        self.or_null(native, offset, inside)
    }

    /// What the guest gets: the offset if it is one, 0 for NULL.
    fn or_null(&mut self, native: Value, offset: Value, inside: Value) -> Value {
        let null = self.block("NULL, or elsewhere");
        let next = self.b.create_block();
        let value = self.b.append_block_param(next, types::I64);
        self.b.ins().brif(inside, next, &[BlockArg::Value(offset)], null, &[]);
        self.b.switch_to_block(null);
        let zero = self.b.ins().iconst(types::I64, 0);
        self.b.ins().brif(native, self.back, &[], next, &[BlockArg::Value(zero)]);
        self.b.switch_to_block(next);
        if self.wide { value } else { self.b.ins().ireduce(types::I32, value) }
    }

    /// Runs the guest's function, and returns what C gets.
    fn enter_and_reply(&mut self, reply: Reply, op: usize) {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend([AbiParam::new(types::I64); 2]);
        signature.returns.push(AbiParam::new(types::I64));
        let signature = self.b.import_signature(signature);
        let enter = self.word(types::I64, Words::ENTER);
        let slots = self.slots();
        let call = self.b.ins().call_indirect(signature, enter, &[self.closure, slots]);
        // Where they are still: so the address need not be kept.
        let slots = self.b.inst_results(call)[0];
        let result: Vec<Value> = match reply {
            Reply::Nothing => Vec::new(),
            Reply::Scalar(fetch) => {
                self.note(op);
                vec![self.reply(fetch, slots)]
            }
        };
        let next = u32::try_from(self.b.func.dfg.num_insts()).unwrap_or(u32::MAX);
        self.notes.rest = Some((next, "done"));
        self.b.ins().return_(&result);
    }

    /// C's conversion of what is in the first slot.
    fn reply(&mut self, fetch: Fetch, slots: Value) -> Value {
        let load = |this: &mut Self, ty| this.b.ins().load(ty, HOST, slots, 0);
        let signed = |this: &mut Self, ty| {
            let low = load(this, ty);
            this.b.ins().sextend(types::I64, low)
        };
        let unsigned = |this: &mut Self, ty| {
            let low = load(this, ty);
            this.b.ins().uextend(types::I64, low)
        };
        match fetch {
            Fetch::Integer(Width::I8) => signed(self, types::I8),
            Fetch::Integer(Width::U8) => unsigned(self, types::I8),
            Fetch::Integer(Width::I16) => signed(self, types::I16),
            Fetch::Integer(Width::U16) => unsigned(self, types::I16),
            Fetch::Integer(Width::I32) => signed(self, types::I32),
            Fetch::Integer(Width::U32) => unsigned(self, types::I32),
            Fetch::Bool => {
                let low = load(self, types::I32);
                let truth = self.b.ins().icmp_imm_u(IntCC::NotEqual, low, 0);
                self.b.ins().uextend(types::I64, truth)
            }
            Fetch::Float32 => load(self, types::F32),
            Fetch::Float64 => load(self, types::F64),
            // The last two were declined.
            Fetch::Integer(Width::I64 | Width::U64 | Width::I128) | Fetch::Whole => {
                load(self, types::I64)
            }
        }
    }

    /// The interpreter makes the call, with the arguments as they came.
    fn go_back(&mut self) {
        self.b.set_cold_block(self.back);
        self.notes.blocks.push((self.back.as_u32(), "the interpreter makes the call"));
        self.b.switch_to_block(self.back);
        let signature: SigRef = {
            let signature = self.b.func.signature.clone();
            self.b.import_signature(signature)
        };
        let back = self.word(types::I64, Words::BACK);
        let params = self.params.clone();
        let call = self.b.ins().call_indirect(signature, back, &params);
        let results = self.b.inst_results(call).to_vec();
        self.b.ins().return_(&results);
    }
}
