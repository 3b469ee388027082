//! The memory of the checking executor: regions at made-up addresses, and nothing between them.
//!
//! Every access names an address and a length. One that is not whole inside of one region, that writes
//! where nobody may, or that reads what nobody has written is a *trespass*: the check fails.
use crate::plan::handles::HandleType;
use std::collections::BTreeMap;

/// What a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The call's frame.
    Frame,
    /// The guest's memory.
    Guest,
    /// A copy that the call has made; of what is at that guest address, if it is a copy of bytes.
    Copy(Option<u64>),
    /// An object of a guest's mirror.
    Object,
    /// What native code has, and lends.
    Native,
    /// A copy that outlives the call.
    Kept,
}

/// So many bytes at an address.
#[derive(Debug)]
pub struct Region {
    pub what: What,
    pub base: u64,
    pub bytes: Vec<u8>,
    /// Which of them have a value.
    known: Vec<bool>,
}

/// What a handle stands for.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    pub kind: HandleType,
    pub pointer: u64,
    pub alive: bool,
}

pub const FRAME: u64 = 0x3f00_0000_0000;
pub const GUEST: u64 = 0x4f00_0000_0000;
/// Where other regions begin; each has a gap behind it.
const OTHERS: u64 = 0x5f00_0000_0000;
const GAP: u64 = 1 << 16;
/// Native addresses are above, whatever a guest can name is below.
pub const NATIVE: u64 = 0x1000_0000_0000;

/// Regions and handles.
#[derive(Debug)]
pub struct Memory {
    regions: Vec<Region>,
    next: u64,
    pub handles: BTreeMap<u32, Object>,
    next_object: u64,
}

impl Memory {
    pub fn new(frame: usize, guest: Vec<u8>) -> Memory {
        let guest_known = vec![true; guest.len()];
        Memory {
            regions: vec![
                Region {
                    what: What::Frame,
                    base: FRAME,
                    bytes: vec![0xaa; frame],
                    known: vec![false; frame],
                },
                Region { what: What::Guest, base: GUEST, bytes: guest, known: guest_known },
            ],
            next: OTHERS,
            handles: BTreeMap::new(),
            next_object: 0x2000_0000_0000,
        }
    }

    /// A region of its own for these bytes.
    pub fn place(&mut self, what: What, bytes: Vec<u8>) -> u64 {
        let base = self.next;
        self.next = (base + bytes.len() as u64).next_multiple_of(64) + GAP;
        let known = vec![true; bytes.len()];
        self.regions.push(Region { what, base, bytes, known });
        base
    }

    /// A region of so many bytes that nobody has written yet.
    pub fn room(&mut self, what: What, len: usize) -> u64 {
        let base = self.place(what, vec![0xaa; len]);
        self.regions.last_mut().expect("just made").known.fill(false);
        base
    }

    /// An address that stands for something which nobody may look into.
    pub fn opaque(&mut self) -> u64 {
        self.next_object += 64;
        self.next_object
    }

    pub fn guest_len(&self) -> u64 {
        self.regions[1].bytes.len() as u64
    }

    pub fn guest(&self) -> &[u8] {
        &self.regions[1].bytes
    }

    /// The region that these bytes lie in. None bytes lie anywhere.
    pub fn region(&self, address: u64, len: u64) -> Option<usize> {
        self.regions.iter().position(|region| {
            let end = region.base + region.bytes.len() as u64;
            address >= region.base && address <= end && len <= end - address
        })
    }

    pub fn what(&self, address: u64, len: u64) -> Option<What> {
        self.region(address, len).map(|at| self.regions[at].what)
    }

    /// Where the region begins that an address is in.
    pub fn start(&self, address: u64) -> Option<u64> {
        self.region(address, 0).map(|at| self.regions[at].base)
    }

    /// How many bytes there are from `address` to the end of its region.
    pub fn left(&self, address: u64) -> u64 {
        self.region(address, 1).map_or(0, |at| {
            let region = &self.regions[at];
            region.base + region.bytes.len() as u64 - address
        })
    }

    fn inside(&self, address: u64, len: u64, why: &str) -> (usize, std::ops::Range<usize>) {
        let Some(at) = self.region(address, len) else {
            panic!("trespass: {len} bytes at {address:#x} ({why})");
        };
        let start = usize::try_from(address - self.regions[at].base).expect("inside");
        (at, start..start + usize::try_from(len).expect("inside"))
    }

    /// Bytes that somebody has written.
    pub fn read(&self, address: u64, len: u64, why: &str) -> Vec<u8> {
        if len == 0 {
            return Vec::new();
        }
        let (at, range) = self.inside(address, len, why);
        let region = &self.regions[at];
        if let Some(hole) = region.known[range.clone()].iter().position(|known| !known) {
            panic!(
                "trespass: byte {hole} of {len} at {:?}+{:#x} has no value ({why})",
                region.what, range.start
            );
        }
        region.bytes[range].to_vec()
    }

    /// Whether these bytes lie in one region, and have values.
    pub fn is_known(&self, address: u64, len: u64) -> bool {
        self.region(address, len).is_some_and(|at| {
            let region = &self.regions[at];
            let start = usize::try_from(address - region.base).expect("inside");
            region.known[start..start + usize::try_from(len).expect("inside")]
                .iter()
                .all(|known| *known)
        })
    }

    pub fn write(&mut self, address: u64, bytes: &[u8], why: &str) {
        if bytes.is_empty() {
            return;
        }
        let (at, range) = self.inside(address, bytes.len() as u64, why);
        let region = &mut self.regions[at];
        region.bytes[range.clone()].copy_from_slice(bytes);
        region.known[range].fill(true);
    }

    /// An integer of that many bytes.
    pub fn integer(&self, address: u64, bytes: u64, signed: bool, why: &str) -> i128 {
        whole(&self.read(address, bytes, why), signed)
    }

    /// The handle of an object.
    pub fn handle_of(&self, pointer: u64) -> Option<(u32, Object)> {
        let mut found = self.handles.iter().filter(|(_, object)| object.pointer == pointer);
        found.next().map(|(handle, object)| (*handle, *object))
    }

    /// A new handle.
    pub fn adopt(&mut self, pointer: u64, kind: HandleType) -> u32 {
        if let Some((handle, object)) = self.handle_of(pointer)
            && object.alive
            && object.kind == kind
        {
            return handle;
        }
        let handle = 0x101 + u32::try_from(self.handles.len()).expect("few");
        self.handles.insert(handle, Object { kind, pointer, alive: true });
        handle
    }
}

/// Little-endian bytes as an integer, at most 16 of them.
pub fn whole(bytes: &[u8], signed: bool) -> i128 {
    let negative = signed && bytes.last().is_some_and(|byte| *byte >= 0x80);
    let mut all = [if negative { 0xff } else { 0 }; 16];
    all[..bytes.len()].copy_from_slice(bytes);
    i128::from_le_bytes(all)
}

/// What a pure function or a remembered integer is worth: the same on both sides, and small.
pub fn drawn(name: &str, arguments: &[i128]) -> i128 {
    let mut hash = 7_u64;
    for byte in name.bytes().map(u64::from).chain(arguments.iter().map(|n| *n as u64)) {
        hash = hash.wrapping_mul(0x100_0000_01b3) ^ byte;
    }
    i128::from(hash >> 17 & 15)
}
