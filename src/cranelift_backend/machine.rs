//! Machine code that has no place yet.
//!
//! It depends on the processor and on nothing of the process: addresses of routines and numbers of handle
//! types are zero in it, and a [`Patch`] says where each belongs. So it can be kept in a file, and code
//! that differs in nothing but those numbers is the same code.
use super::Unsupported;
use super::code_memory::Code;
use super::helpers::Helper;
use super::unwind::Table;
use crate::plan::HandleKind;
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub bytes: Box<[u8]>,
    /// Of its first byte.
    pub align: u32,
    pub patches: Box<[Patch]>,
    /// How to walk through it.
    pub table: Option<Table>,
}

/// The code of a direct trampoline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MadeDirect {
    pub machine: Machine,
    /// Whether it may leave work after the call to be done.
    pub resumes: bool,
}

/// The code of the entry of closures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MadeCallback {
    pub machine: Machine,
    /// So many integer registers have C's arguments.
    pub integers: u8,
}

/// Eight bytes that depend on the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Patch {
    /// Offset of the first.
    pub at: u32,
    pub what: Outside,
}

/// What code refers to that is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Outside {
    /// The address of a routine.
    Helper(Helper),
    /// The number of a handle type: index into `Plan::handle_kinds`.
    HandleType(u16),
}

impl Outside {
    /// What readers see of it.
    #[cfg(feature = "cranelift")]
    pub(super) fn name(self) -> String {
        match self {
            Outside::Helper(helper) => helper.name().to_owned(),
            Outside::HandleType(kind) => format!("handle_type_{kind}"),
        }
    }

    fn value(self, kinds: &[HandleKind]) -> Option<u64> {
        match self {
            Outside::Helper(helper) => Some(helper.address()),
            Outside::HandleType(kind) => {
                let kind = kinds.get(usize::from(kind))?;
                Some(kind.id.0.into())
            }
        }
    }
}

impl Machine {
    /// Gives it a place where it can be run, for plans whose handle types have these numbers.
    ///
    /// # Errors
    /// When there is no memory for code, or a patch is none of the code's.
    pub(super) fn place(&self, kinds: &[HandleKind]) -> Result<Code, Unsupported> {
        let mut bytes = self.bytes.clone();
        for patch in &self.patches {
            let start = patch.at as usize;
            let (Some(place), Some(value)) =
                (bytes.get_mut(start..start.saturating_add(8)), patch.what.value(kinds))
            else {
                return Err(Unsupported::Patch { at: patch.at });
            };
            place.copy_from_slice(&value.to_le_bytes());
        }
        let code = Code::new(&bytes, self.align);
        let mut code = code.map_err(|error| Unsupported::Memory(error.to_string()))?;
        if let Some(table) = &self.table {
            code.describe(table.register(code.start()));
        }
        Ok(code)
    }
}
