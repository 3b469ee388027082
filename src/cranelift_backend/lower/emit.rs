//! Small pieces of CLIF that all ops are made of.
use super::{Exit, Lower, Memory, NAMES, Notes};
use crate::cranelift_backend::helpers::Helper;
use crate::cranelift_backend::machine::Outside;
use crate::cranelift_backend::{Status, Unsupported};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, ExtFuncData, ExternalName, GlobalValueData, Inst, InstBuilder, MemFlagsData,
    Type, UserExternalName, Value, types,
};

/// Memory of the host: bindings, slots, frames. All of it is aligned to 8 bytes at least.
const HOST: MemFlagsData = MemFlagsData::trusted();
/// Memory of the guest, already checked; and host memory whose alignment is not known.
pub(super) const ANY: MemFlagsData = MemFlagsData::new().with_notrap();

impl Notes {
    fn block(&mut self, block: Block, what: &'static str) {
        self.blocks.push((block.as_u32(), what));
    }
}

impl Lower<'_> {
    /// The instructions from here on belong to that op.
    pub(super) fn note_op(&mut self, op: usize) {
        let next = u32::try_from(self.b.func.dfg.num_insts()).unwrap_or(u32::MAX);
        self.notes.ops.push((next, op));
    }

    /// The instructions from here on belong to no op: that is what they do.
    pub(super) fn note_rest(&mut self, what: &'static str) {
        let next = u32::try_from(self.b.func.dfg.num_insts()).unwrap_or(u32::MAX);
        self.notes.rest = Some((next, what));
    }

    pub(super) fn constant(&mut self, value: u64) -> Value {
        self.b.ins().iconst(types::I64, value.cast_signed())
    }

    /// Something at an offset of host memory.
    pub(super) fn load(&mut self, ty: Type, from: Value, offset: usize) -> Value {
        self.b.ins().load(ty, flags(ty), from, offset_of(offset))
    }

    pub(super) fn store(&mut self, value: Value, to: Value, offset: usize) {
        let flags = flags(self.b.func.dfg.value_type(value));
        self.b.ins().store(flags, value, to, offset_of(offset));
    }

    /// Something at an address of the guest's memory that was checked.
    pub(super) fn load_guest(&mut self, ty: Type, from: Value, offset: u32) -> Value {
        self.b.ins().load(ty, ANY, from, offset_of(offset as usize))
    }

    pub(super) fn store_guest(&mut self, value: Value, to: Value, offset: u32) {
        self.b.ins().store(ANY, value, to, offset_of(offset as usize));
    }

    /// A guest pointer, or a handle: 64 bits.
    pub(super) fn pointer(&mut self, slot: u16) -> Value {
        if self.plan.facts.wide {
            return self.slot(types::I64, slot);
        }
        // Four bytes, because the guest has stored four: wider loads wait for the store.
        let value = self.slot(types::I32, slot);
        self.b.ins().uextend(types::I64, value)
    }

    /// The guest's memory.
    pub(super) fn memory(&self) -> Result<Memory, Unsupported> {
        let none = || super::internal("the plan does not say that it needs memory");
        self.memory.ok_or_else(none)
    }

    pub(super) fn compare(&mut self, how: IntCC, left: Value, right: Value) -> Value {
        self.b.ins().icmp(how, left, right)
    }

    pub(super) fn compare_to(&mut self, how: IntCC, left: Value, right: u64) -> Value {
        let right = self.constant(right);
        self.b.ins().icmp(how, left, right)
    }

    /// Before the call: goes on if the value is not zero.
    pub(super) fn check(&mut self, holds: Value) {
        let next = self.b.create_block();
        self.b.ins().brif(holds, next, &[], self.redo, &[]);
        self.b.switch_to_block(next);
    }

    /// Before the call: goes on if the value is zero.
    pub(super) fn refuse(&mut self, fails: Value) {
        let next = self.b.create_block();
        self.b.ins().brif(fails, self.redo, &[], next, &[]);
        self.b.switch_to_block(next);
    }

    /// A block with one parameter of 64 bits, where ways of an op meet.
    pub(super) fn meeting(&mut self, values: usize) -> (Block, Vec<Value>) {
        let block = self.b.create_block();
        let values = (0..values).map(|_| self.b.append_block_param(block, types::I64));
        let values = values.collect();
        (block, values)
    }

    pub(super) fn cold(&mut self, what: &'static str) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.notes.block(block, what);
        block
    }

    pub(super) fn jump(&mut self, to: Block, with: &[Value]) {
        let with: Vec<BlockArg> = with.iter().map(|value| BlockArg::Value(*value)).collect();
        self.b.ins().jump(to, &with);
    }

    /// Fills the blocks that leave the trampoline before the call.
    pub(super) fn fill_exits(&mut self) {
        for (block, exit) in std::mem::take(&mut self.exits) {
            self.b.set_cold_block(block);
            self.b.switch_to_block(block);
            match exit {
                Exit::Redo => {
                    self.notes.block(block, "redo: the interpreter makes the call");
                    self.leave(Status::Redo);
                }
                Exit::Undo { until } => {
                    self.notes.block(block, "redo, when what the call has taken is given back");
                    let until = self.constant(until as u64);
                    let frame = self.frame;
                    self.help(Helper::Undo, &[frame, until]);
                    self.leave(Status::Redo);
                }
            }
        }
    }

    /// Whether a guest slot is known to be NULL or to point at so many bytes of the memory.
    pub(super) fn has_checked(&self, slot: u16, bytes: u64) -> bool {
        self.checked.iter().any(|(known, size)| *known == slot && bytes <= *size)
    }

    /// Calls a routine outside.
    pub(super) fn help(&mut self, helper: Helper, arguments: &[Value]) -> Inst {
        let function = match self.helpers.iter().find(|(known, _)| *known == helper) {
            Some((_, function)) => *function,
            None => {
                let signature = self.b.import_signature(helper.signature());
                let name = self.outside(Outside::Helper(helper));
                let data = ExtFuncData { name, signature, colocated: false, patchable: false };
                let function = self.b.import_function(data);
                self.helpers.push((helper, function));
                function
            }
        };
        self.b.ins().call(function, arguments)
    }

    /// The number of a handle type.
    pub(super) fn handle_type(&mut self, kind: u16) -> Value {
        let name = self.outside(Outside::HandleType(kind));
        let offset = 0.into();
        let data = GlobalValueData::Symbol { name, offset, colocated: false, tls: false };
        let value = self.b.create_global_value(data);
        self.b.ins().symbol_value(types::I64, value)
    }

    /// The name of something outside.
    fn outside(&mut self, what: Outside) -> ExternalName {
        let known = self.notes.outside.iter().position(|one| *one == what);
        let index = known.unwrap_or_else(|| {
            self.notes.outside.push(what);
            self.notes.outside.len() - 1
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let name = UserExternalName { namespace: NAMES, index };
        ExternalName::user(self.b.func.declare_imported_user_function(name))
    }

    /// As [`Lower::help`], of a routine that returns something.
    pub(super) fn ask(&mut self, helper: Helper, arguments: &[Value]) -> Value {
        let call = self.help(helper, arguments);
        self.b.inst_results(call)[0]
    }
}

fn flags(ty: Type) -> MemFlagsData {
    if ty.bytes() > 8 { ANY } else { HOST }
}

fn offset_of(offset: usize) -> i32 {
    i32::try_from(offset).expect("frames and slots are small")
}
