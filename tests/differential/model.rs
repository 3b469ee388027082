//! What must come of a call, worked out from DESIGN 5.2 and nothing else.
use crate::case::{Batch, Case, Class, Fault, Kind, MEMORY, Param, RESULT, Returned, Wasm, Way};
use crate::case::{element_size, low_bytes, value_of};
use crate::text::pattern;
use portcullis::plan::Problem;

/// What must come of one call.
#[derive(Debug)]
pub struct Expectation {
    /// What the function must have recorded, in order. Empty: it must not have run.
    pub log: Vec<Received>,
    /// The guest's memory afterwards.
    pub memory: Vec<u8>,
    /// How the call ends.
    pub end: End,
}

/// One thing that a function records.
#[derive(Debug)]
pub enum Received {
    Bytes(Vec<u8>),
    Pointer(Place),
}

/// Where a pointer must lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Null,
    /// To this offset of the guest's memory.
    Guest(u64),
    /// To memory of the call's own, aligned to 8 bytes.
    Call,
    /// To a copy of a string.
    Copy,
}

/// How a call must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Returns,
    /// With an error about this parameter, counted from 0; one past the last is the result.
    Fails {
        subject: usize,
        problem: Wrong,
        called: bool,
    },
}

/// What an error must be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Null,
    OutOfBounds,
    Misaligned,
    Unterminated,
    DoesNotFit,
}

impl Wrong {
    /// Whether that is what a call's error says.
    pub fn is(self, found: &Problem) -> bool {
        matches!(
            (self, found),
            (Wrong::Null, Problem::Null)
                | (Wrong::OutOfBounds, Problem::OutOfBounds { .. })
                | (Wrong::Misaligned, Problem::Misaligned { .. })
                | (Wrong::Unterminated, Problem::Unterminated { .. })
                | (Wrong::DoesNotFit, Problem::DoesNotFit { .. })
        )
    }
}

/// What must come of calling `case`.
pub fn expect(batch: &Batch, case: &Case) -> Expectation {
    let before = batch.memory_before(case);
    let early = |subject, problem| Expectation {
        log: Vec::new(),
        memory: before.clone(),
        end: End::Fails { subject, problem, called: false },
    };
    match case.fault {
        Some(Fault::Null(at)) => return early(at, Wrong::Null),
        Some(Fault::PastEnd(at)) => return early(at, Wrong::OutOfBounds),
        Some(Fault::Misaligned(at)) => return early(at, Wrong::Misaligned),
        Some(Fault::Unterminated(at)) => return early(at, Wrong::Unterminated),
        Some(Fault::CellTooLarge(_) | Fault::ResultTooLarge) | None => {}
    }
    let copied = strings_are_copied(case);
    let received = |param| received(batch, param, &before, copied);
    let log = case.params.iter().flat_map(received).collect();
    let mut memory = before.clone();
    native_writes(batch, case, &mut memory);
    let end = match case.fault {
        Some(Fault::CellTooLarge(at)) => {
            End::Fails { subject: at, problem: Wrong::DoesNotFit, called: true }
        }
        Some(Fault::ResultTooLarge) => {
            let subject = case.params.len();
            End::Fails { subject, problem: Wrong::DoesNotFit, called: true }
        }
        _ => {
            written_back(batch, case, &mut memory);
            End::Returns
        }
    };
    Expectation { log, memory, end }
}

/// Whether native code gets copies of strings: of all of them, as soon as it may write to one and to
/// something else, which it could use to take the terminator away.
fn strings_are_copied(case: &Case) -> bool {
    let is_written = |param: &Param| match param.kind {
        Kind::Scalar { .. } => false,
        Kind::Buffer { way, .. } | Kind::Single { way, .. } => way != Way::In,
        Kind::Text { mutable, .. } => mutable,
    };
    let strings =
        || case.params.iter().filter(|p| matches!(p.kind, Kind::Text { mutable: true, .. }));
    strings().next().is_some() && case.params.iter().filter(|param| is_written(param)).count() > 1
}

/// What the function records of one argument.
fn received(batch: &Batch, param: &Param, memory: &[u8], copied: bool) -> Vec<Received> {
    let address = batch.address(param);
    let in_place = match address {
        0 => Place::Null,
        _ => Place::Guest(address.min(MEMORY)),
    };
    let bytes = |count: u64| Received::Bytes(slice(memory, address, count).to_vec());
    match &param.kind {
        Kind::Scalar { ty, extended } => {
            let size = if *extended { 4 } else { ty.host_size() };
            let value = match (ty.class, param.wasm) {
                // Any bit makes a truth.
                (Class::Bool, _) => u64::from(param.bits != 0),
                // A guest's 32-bit `long` or `size_t` grows as its sign says.
                (Class::Word(_), Wasm::I32) => extend(param.bits, 4, ty.is_signed()),
                (Class::Word(_) | Class::Float | Class::Double, _) => param.bits,
                (Class::Integer(width, _), _) => extend(param.bits, width, ty.is_signed()),
            };
            vec![Received::Bytes(low_bytes(value, size))]
        }
        Kind::Buffer { element, way, elements, .. } => {
            let mut log = vec![Received::Pointer(in_place)];
            if *way != Way::Out && address != 0 && *elements > 0 {
                log.push(bytes(elements * element_size(*element)));
            }
            log
        }
        Kind::Text { length, .. } => {
            let place = if copied && address != 0 { Place::Copy } else { in_place };
            let mut log = vec![Received::Pointer(place)];
            if address != 0 {
                log.push(bytes(length + 1));
            }
            log
        }
        Kind::Single { ty, way, holds, .. } => {
            if address == 0 {
                return vec![Received::Pointer(Place::Null)];
            }
            let is_in = *way != Way::Out;
            if param.kind.is_in_place(batch.wide) {
                let mut log = vec![Received::Pointer(in_place)];
                if is_in {
                    log.push(bytes(u64::try_from(ty.host_size()).expect("small")));
                }
                return log;
            }
            let guest = ty.guest_size(batch.wide);
            let value = if is_in { extend(*holds, guest, ty.is_signed()) } else { 0 };
            let value = low_bytes(value, ty.host_size());
            vec![Received::Pointer(Place::Call), Received::Bytes(value)]
        }
    }
}

/// What the function itself writes into the guest's memory.
fn native_writes(batch: &Batch, case: &Case, memory: &mut [u8]) {
    for (at, param) in case.params.iter().enumerate() {
        let address = batch.address(param);
        if address == 0 {
            continue;
        }
        match &param.kind {
            Kind::Buffer { element, way: Way::Out | Way::InOut, elements, .. } if *elements > 0 => {
                let bytes = elements * element_size(*element);
                let mut byte = pattern(case, at);
                for place in slice_mut(memory, address, bytes) {
                    *place ^= byte;
                    byte = byte.wrapping_add(31);
                }
            }
            // A copy goes back when the call ends well.
            Kind::Text { mutable: true, .. } if !strings_are_copied(case) => {
                slice_mut(memory, address, 1)[0] = 0;
            }
            Kind::Single { ty, way: Way::Out | Way::InOut, leaves, .. }
                if param.kind.is_in_place(batch.wide) =>
            {
                put(memory, address, &low_bytes(*leaves, ty.host_size()));
            }
            _ => {}
        }
    }
}

/// What a call that ends well copies to the guest.
fn written_back(batch: &Batch, case: &Case, memory: &mut [u8]) {
    for param in &case.params {
        let address = batch.address(param);
        if let Kind::Text { mutable: true, .. } = param.kind
            && address != 0
            && strings_are_copied(case)
        {
            slice_mut(memory, address, 1)[0] = 0;
        }
        if let Kind::Single { ty, way: Way::Out | Way::InOut, leaves, .. } = &param.kind
            && address != 0
            && !param.kind.is_in_place(batch.wide)
        {
            put(memory, address, &low_bytes(*leaves, ty.guest_size(batch.wide)));
        }
    }
    let result = match case.result {
        Returned::Void => return,
        Returned::NoText => low_bytes(0, if batch.wide { 8 } else { 4 }),
        Returned::Inside { param, offset } => {
            let address = batch.address(&case.params[param]) + offset;
            low_bytes(address, if batch.wide { 8 } else { 4 })
        }
        Returned::Scalar { ty, wasm, value, .. } => {
            let value = match ty.class {
                Class::Bool => value & 1,
                Class::Integer(width, _) => extend(value, width, ty.is_signed()),
                Class::Word(_) | Class::Float | Class::Double => value,
            };
            let size = if matches!(wasm, Wasm::I32 | Wasm::F32) { 4 } else { 8 };
            low_bytes(value, size)
        }
    };
    put(memory, RESULT, &result);
}

/// The value of some low bytes, as wide as there are.
fn extend(bits: u64, bytes: usize, signed: bool) -> u64 {
    let value = value_of(bits, bytes, signed);
    let wrapped = value & i128::from(u64::MAX);
    u64::try_from(wrapped).expect("64 bits are left")
}

fn slice(memory: &[u8], address: u64, bytes: u64) -> &[u8] {
    let at = usize::try_from(address).expect("inside the memory");
    &memory[at..at + usize::try_from(bytes).expect("inside the memory")]
}

fn slice_mut(memory: &mut [u8], address: u64, bytes: u64) -> &mut [u8] {
    let at = usize::try_from(address).expect("inside the memory");
    &mut memory[at..at + usize::try_from(bytes).expect("inside the memory")]
}

fn put(memory: &mut [u8], address: u64, bytes: &[u8]) {
    let at = usize::try_from(address).expect("inside the memory");
    memory[at..at + bytes.len()].copy_from_slice(bytes);
}
