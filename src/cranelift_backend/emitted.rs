//! Machine code to be read: its bytes, and what each of them is for.
//!
//! Cranelift carries a number with each instruction of CLIF to the machine code that it makes of it, for debuggers. Here
//! the number stands for a [`Part`]. It is set when a listing is made and at no other time, and changes no code.
//!
//! Not here: instructions in words (`assembly`).
use super::lower::Notes;
use super::machine::Machine;
use cranelift_codegen::ir::{Function, SourceLoc};

/// Machine code that has no place yet. Addresses of routines and numbers of handle types are zero in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Emitted {
    /// The code.
    pub bytes: Vec<u8>,
    /// What the bytes from an offset on are for, in order, up to the next offset.
    pub parts: Vec<(usize, Part)>,
    /// What the eight bytes at an offset will be, in order.
    pub outside: Vec<(usize, String)>,
    /// Names of places that are jumped to, where somebody has given them one.
    pub labels: Vec<(usize, &'static str)>,
}

/// What an instruction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// For no op: this.
    Around(&'static str),
    /// For the op of that number.
    Op {
        /// Its position in the plan.
        op: usize,
        /// When it is done, if that is rare.
        rare: Option<&'static str>,
    },
}

impl Part {
    /// The op that it belongs to.
    #[must_use]
    pub fn op(self) -> Option<usize> {
        match self {
            Part::Around(_) => None,
            Part::Op { op, .. } => Some(op),
        }
    }
}

/// What stands before the ops.
pub(super) const ENTRY: Part = Part::Around("entry");

impl Emitted {
    /// The code of a machine. `parts` are its own.
    pub(super) fn new(machine: &Machine, parts: Vec<(usize, Part)>) -> Emitted {
        let patches = machine.patches.iter();
        Emitted {
            bytes: machine.bytes.to_vec(),
            parts,
            outside: patches.map(|patch| (patch.at as usize, patch.what.name())).collect(),
            labels: Vec::new(),
        }
    }

    /// The same behind other code.
    pub(super) fn behind(mut self, head: &[u8], what: Part) -> Emitted {
        self.bytes.splice(0..0, head.iter().copied());
        self.parts.iter_mut().for_each(|(at, _)| *at += head.len());
        self.outside.iter_mut().for_each(|(at, _)| *at += head.len());
        self.labels.iter_mut().for_each(|(at, _)| *at += head.len());
        self.parts.insert(0, (0, what));
        self
    }

    /// What the instruction at an offset is for.
    #[must_use]
    pub fn part_at(&self, offset: usize) -> Part {
        let next = self.parts.partition_point(|(start, _)| *start <= offset);
        next.checked_sub(1).map_or(ENTRY, |at| self.parts[at].1)
    }
}

/// Numbers instructions of CLIF by what they are for: the numbers are indices into what is returned.
pub(super) fn number(function: &mut Function, notes: &Notes) -> Vec<Part> {
    let mut parts = vec![ENTRY];
    let mut numbered = Vec::new();
    for block in function.layout.blocks() {
        let named = notes.blocks.iter().find(|(number, _)| *number == block.as_u32());
        let named = named.map(|(_, what)| *what);
        for inst in function.layout.block_insts(block) {
            let part = notes.part(inst.as_u32(), named);
            let known = parts.iter().position(|one| *one == part);
            let index = known.unwrap_or_else(|| {
                parts.push(part);
                parts.len() - 1
            });
            numbered.push((inst, u32::try_from(index).unwrap_or_default()));
        }
    }
    for (inst, index) in numbered {
        function.set_srcloc(inst, SourceLoc::new(index));
    }
    parts
}

impl Notes {
    /// What the instruction of that number is for, in a block with that name.
    fn part(&self, inst: u32, block: Option<&'static str>) -> Part {
        match self.rest {
            Some((first, what)) if first <= inst => return Part::Around(block.unwrap_or(what)),
            _ => {}
        }
        let behind = self.ops.partition_point(|(first, _)| *first <= inst);
        match behind.checked_sub(1) {
            Some(at) => Part::Op { op: self.ops[at].1, rare: block },
            None => ENTRY,
        }
    }
}
