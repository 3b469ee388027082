//! How to walk through compiled code: a table for the unwinder of the C library's compiler.
//!
//! `gdb` and `perf` do not look at these tables; they go by frame pointers, which all code here keeps.
//! `backtrace()` and everything else that is built on the unwinder does.
#![expect(unsafe_code, reason = "the unwinder keeps the address of the table")]
use super::Unsupported;
use super::compile::codegen;
use cranelift_codegen::gimli::LittleEndian;
use cranelift_codegen::gimli::write::{Address, EhFrame, EndianVec, FrameTable};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInfo;

unsafe extern "C" {
    fn __register_frame(table: *const u8);
    fn __deregister_frame(table: *const u8);
}

/// A table that the unwinder knows as long as this lives.
#[derive(Debug)]
pub(super) struct Registered(Box<[u8]>);

impl Registered {
    fn new(table: Box<[u8]>) -> Registered {
        // SAFETY: the table is whole, ends with a terminator, and stays where it is until it is taken
        // back.
        unsafe { __register_frame(table.as_ptr()) };
        Registered(table)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: registered in `new`, once.
        unsafe { __deregister_frame(self.0.as_ptr()) };
    }
}

/// Registers what is known of the code at `start`; `None` when that is nothing.
pub(super) fn table(
    isa: &dyn TargetIsa,
    info: Option<UnwindInfo>,
    start: *const u8,
) -> Result<Option<Registered>, Unsupported> {
    let (Some(UnwindInfo::SystemV(info)), Some(common)) = (info, isa.create_systemv_cie()) else {
        return Ok(None);
    };
    let mut table = FrameTable::default();
    let common = table.add_cie(common);
    table.add_fde(common, info.to_fde(Address::Constant(start.expose_provenance() as u64)));
    let mut section = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section).map_err(|error| codegen(&error))?;
    let mut bytes = section.0.into_vec();
    // An entry of no length ends the table.
    bytes.extend([0; 4]);
    Ok(Some(Registered::new(bytes.into())))
}
