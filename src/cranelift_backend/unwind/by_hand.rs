//! Tables of code that is written by hand: it says itself what it does to the stack.
use super::Table;
use super::of_cranelift::NOWHERE;
use cranelift_codegen::gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, FrameDescriptionEntry, FrameTable,
};
use cranelift_codegen::gimli::{Encoding, Format, X86_64};

/// What holds from some byte of the code on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cranelift_backend) enum Row {
    /// So many bytes are on the stack above what its pointer means, the return address among them.
    Pushed(u8),
    /// The frame pointer was pushed behind the return address.
    FramePushed,
    /// The frame pointer is where it was pushed, whatever the stack pointer is.
    Frame,
    /// The frame is gone, and the frame pointer is the caller's.
    FrameGone,
}

impl Table {
    /// Of code of that size, with what holds from which byte on. `None` of code that pushes nothing: whoever it calls
    /// returns to its caller.
    pub(in crate::cranelift_backend) fn by_hand(
        size: usize,
        rows: &[(usize, Row)],
    ) -> Option<Table> {
        if rows.is_empty() {
            return None;
        }
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 1 };
        let mut common = CommonInformationEntry::new(encoding, 1, -8, X86_64::RA);
        common.add_instruction(CallFrameInstruction::Cfa(X86_64::RSP, 8));
        common.add_instruction(CallFrameInstruction::Offset(X86_64::RA, -8));
        let mut code =
            FrameDescriptionEntry::new(Address::Constant(NOWHERE), u32::try_from(size).ok()?);
        for (at, row) in rows {
            let at = u32::try_from(*at).ok()?;
            let mut add = |instruction| code.add_instruction(at, instruction);
            match *row {
                Row::Pushed(bytes) => add(CallFrameInstruction::CfaOffset(bytes.into())),
                Row::FramePushed => {
                    add(CallFrameInstruction::CfaOffset(16));
                    add(CallFrameInstruction::Offset(X86_64::RBP, -16));
                }
                Row::Frame => add(CallFrameInstruction::CfaRegister(X86_64::RBP)),
                Row::FrameGone => {
                    add(CallFrameInstruction::Cfa(X86_64::RSP, 8));
                    add(CallFrameInstruction::Restore(X86_64::RBP));
                }
            }
        }
        let mut table = FrameTable::default();
        let common = table.add_cie(common);
        table.add_fde(common, code);
        Table::written(&table).ok()
    }
}
