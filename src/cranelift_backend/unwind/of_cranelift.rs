//! Tables of what Cranelift knows of a function.
use super::super::Unsupported;
use super::super::compile::codegen;
use super::Table;
use cranelift_codegen::gimli::LittleEndian;
use cranelift_codegen::gimli::write::{Address, EhFrame, EndianVec, FrameTable};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInfo;

/// Stands for the address of code that has no place yet.
pub(super) const NOWHERE: u64 = 0x706f_7274_6375_6c6c;

impl Table {
    /// What is known of a function; `None` when that is nothing.
    pub(in crate::cranelift_backend) fn of(
        isa: &dyn TargetIsa,
        info: Option<UnwindInfo>,
    ) -> Result<Option<Table>, Unsupported> {
        let (Some(UnwindInfo::SystemV(info)), Some(common)) = (info, isa.create_systemv_cie())
        else {
            return Ok(None);
        };
        let mut table = FrameTable::default();
        let common = table.add_cie(common);
        table.add_fde(common, info.to_fde(Address::Constant(NOWHERE)));
        Table::written(&table).map(Some)
    }

    /// As bytes, of a function that is nowhere yet.
    pub(super) fn written(table: &FrameTable) -> Result<Table, Unsupported> {
        let mut section = EhFrame(EndianVec::new(LittleEndian));
        table.write_eh_frame(&mut section).map_err(|error| codegen(&error))?;
        let mut bytes = section.0.into_vec();
        let place = bytes.windows(8).position(|eight| eight == NOWHERE.to_le_bytes());
        let start = place.and_then(|place| u32::try_from(place).ok());
        let start = start.ok_or_else(|| codegen(&"a table does not say where its code is"))?;
        // An entry of no length ends the table.
        bytes.extend([0; 4]);
        Ok(Table { bytes: bytes.into(), start })
    }
}
