//! What one generated function is, and what the guest passes to it.
//!
//! A [`Case`] is only a description. [`c`](super::c) writes the function from it, [`guest`](super::guest)
//! the call, [`model`](super::model) what must come of it; none of them sees what the others make.
use crate::rng::Rng;

/// Size of every guest memory: one page.
pub const MEMORY: u64 = 65536;
/// Where arguments that are not constants of the code are loaded from, 8 bytes each.
pub const ARGUMENTS: u64 = 64;
/// Where the guest puts the result.
pub const RESULT: u64 = 256;
/// Buffers lie between here and the end of the memory.
pub const BUFFERS: u64 = 512;
/// The most parameters that a function gets.
pub const MOST_PARAMS: usize = 20;

/// A scalar type of C as prototypes spell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    pub spelling: &'static str,
    pub class: Class,
}

/// What the types of one row of DESIGN 5.2 have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Bool,
    /// The same width in the guest and on the host, in bytes.
    Integer(usize, Signed),
    /// `long` and its kin: 8 bytes on the host, 4 or 8 for the guest.
    Word(Signed),
    Float,
    Double,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    Yes,
    No,
}
use Signed::{No, Yes};

const fn scalar(spelling: &'static str, class: Class) -> Scalar {
    Scalar { spelling, class }
}

/// Every scalar type that functions are made of.
pub const SCALARS: [Scalar; 44] = [
    scalar("bool", Class::Bool),
    scalar("_Bool", Class::Bool),
    scalar("char", Class::Integer(1, Yes)),
    scalar("signed char", Class::Integer(1, Yes)),
    scalar("unsigned char", Class::Integer(1, No)),
    scalar("int8_t", Class::Integer(1, Yes)),
    scalar("uint8_t", Class::Integer(1, No)),
    scalar("short", Class::Integer(2, Yes)),
    scalar("short int", Class::Integer(2, Yes)),
    scalar("unsigned short", Class::Integer(2, No)),
    scalar("int16_t", Class::Integer(2, Yes)),
    scalar("uint16_t", Class::Integer(2, No)),
    scalar("int", Class::Integer(4, Yes)),
    scalar("signed", Class::Integer(4, Yes)),
    scalar("unsigned", Class::Integer(4, No)),
    scalar("unsigned int", Class::Integer(4, No)),
    scalar("int32_t", Class::Integer(4, Yes)),
    scalar("uint32_t", Class::Integer(4, No)),
    scalar("enum color", Class::Integer(4, No)),
    scalar("enum sign", Class::Integer(4, Yes)),
    scalar("long", Class::Word(Yes)),
    scalar("long int", Class::Word(Yes)),
    scalar("unsigned long", Class::Word(No)),
    scalar("long unsigned int", Class::Word(No)),
    scalar("size_t", Class::Word(No)),
    scalar("ssize_t", Class::Word(Yes)),
    scalar("intptr_t", Class::Word(Yes)),
    scalar("uintptr_t", Class::Word(No)),
    scalar("ptrdiff_t", Class::Word(Yes)),
    scalar("long long", Class::Integer(8, Yes)),
    scalar("long long int", Class::Integer(8, Yes)),
    scalar("unsigned long long", Class::Integer(8, No)),
    scalar("int64_t", Class::Integer(8, Yes)),
    scalar("uint64_t", Class::Integer(8, No)),
    scalar("time_t", Class::Integer(8, Yes)),
    scalar("off_t", Class::Integer(8, Yes)),
    scalar("float", Class::Float),
    scalar("float", Class::Float),
    scalar("float", Class::Float),
    scalar("float", Class::Float),
    scalar("double", Class::Double),
    scalar("double", Class::Double),
    scalar("double", Class::Double),
    scalar("double", Class::Double),
];

impl Scalar {
    /// Size in the guest's memory, in bytes.
    pub fn guest_size(self, wide: bool) -> usize {
        match self.class {
            Class::Word(_) if !wide => 4,
            _ => self.host_size(),
        }
    }

    /// Size on the host, in bytes.
    pub fn host_size(self) -> usize {
        match self.class {
            Class::Bool => 1,
            Class::Integer(size, _) => size,
            Class::Word(_) | Class::Double => 8,
            Class::Float => 4,
        }
    }

    pub fn is_integer(self) -> bool {
        matches!(self.class, Class::Integer(..) | Class::Word(_))
    }

    pub fn is_signed(self) -> bool {
        matches!(self.class, Class::Integer(_, Yes) | Class::Word(Yes))
    }

    /// The wasm type of a parameter or result.
    pub fn wasm(self, wide: bool, rng: &mut Rng) -> Wasm {
        match self.class {
            Class::Word(_) if rng.chance(1, 4) != wide => Wasm::I64,
            Class::Bool | Class::Word(_) | Class::Integer(1..=4, _) => Wasm::I32,
            Class::Integer(..) => Wasm::I64,
            Class::Float => Wasm::F32,
            Class::Double => Wasm::F64,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasm {
    I32,
    I64,
    F32,
    F64,
}

/// A generated function and one call of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number in the batch; its name is `f` and this.
    pub number: usize,
    pub params: Vec<Param>,
    pub result: Returned,
    /// Whether the guest imports it by prototype, not by symbol.
    pub by_prototype: bool,
    /// What is wrong with the call, if anything.
    pub fault: Option<Fault>,
}

/// A parameter with its argument.
#[derive(Clone, Debug)]
pub struct Param {
    pub kind: Kind,
    pub wasm: Wasm,
    /// The wasm value, garbage above narrow types included.
    pub bits: u64,
    /// Whether the value is a constant of the guest's code; else it is loaded from memory.
    pub constant: bool,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Scalar {
        ty: Scalar,
        /// Whether the function is compiled to look at all 32 bits of a narrow argument.
        extended: bool,
    },
    Buffer {
        /// `None`: `void`.
        element: Option<Scalar>,
        way: Way,
        count: Count,
        /// The value of `count`.
        elements: u64,
        nullable: bool,
    },
    Single {
        ty: Scalar,
        way: Way,
        nullable: bool,
        /// Whether the count of a buffer reads it.
        counts: bool,
        /// What the function stores.
        leaves: u64,
        /// The guest's value before the call.
        holds: u64,
    },
    Text {
        mutable: bool,
        nullable: bool,
        /// Its length without the NUL.
        length: u64,
    },
}

/// Which way the bytes behind a pointer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `const`
    In,
    Out,
    InOut,
}

/// How many elements a buffer has, as its annotation says it. Numbers are positions of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Constant(u64),
    Param(usize),
    /// `*p`
    Cell(usize),
    /// `p * times + plus`
    Linear(usize, u64, u64),
}

/// What the function returns.
#[derive(Clone, Copy, Debug)]
pub enum Returned {
    Void,
    Scalar {
        ty: Scalar,
        wasm: Wasm,
        /// The native value, `host_size` bytes of it.
        value: u64,
        /// What stands above a narrow value in its register; `None`: whatever gcc leaves there.
        garbage: Option<u64>,
    },
    /// So many bytes behind the start of a buffer or string parameter.
    Inside {
        param: usize,
        offset: u64,
    },
    /// `const char *`, NULL.
    NoText,
}

/// What makes a call fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The pointer of this parameter is 0 where NULL is refused.
    Null(usize),
    /// Its last byte is outside the memory.
    PastEnd(usize),
    /// It is odd.
    Misaligned(usize),
    /// The string has no end.
    Unterminated(usize),
    /// What native code leaves in this cell does not fit the guest's type.
    CellTooLarge(usize),
    /// The result does not fit the wasm type.
    ResultTooLarge,
}

impl Count {
    /// The same, of parameters in another order.
    pub fn moved(self, to: &[usize]) -> Count {
        match self {
            Count::Constant(n) => Count::Constant(n),
            Count::Param(at) => Count::Param(to[at]),
            Count::Cell(at) => Count::Cell(to[at]),
            Count::Linear(at, times, plus) => Count::Linear(to[at], times, plus),
        }
    }
}

impl Kind {
    pub fn is_pointer(&self) -> bool {
        !matches!(self, Kind::Scalar { .. })
    }

    /// Bytes behind the pointer in the guest's memory.
    pub fn guest_bytes(&self, wide: bool) -> u64 {
        match self {
            Kind::Scalar { .. } => 0,
            Kind::Buffer { element, elements, .. } => elements * element_size(*element),
            Kind::Single { ty, .. } => bytes(ty.guest_size(wide)),
            Kind::Text { length, .. } => length + 1,
        }
    }

    /// Whether native code gets a pointer into the guest's memory itself.
    pub fn is_in_place(&self, wide: bool) -> bool {
        match self {
            Kind::Scalar { .. } => false,
            Kind::Buffer { .. } | Kind::Text { .. } => true,
            Kind::Single { ty, counts, .. } => !counts && ty.guest_size(wide) == ty.host_size(),
        }
    }

    /// What its address must be a multiple of.
    pub fn align(&self, wide: bool) -> u64 {
        match self {
            Kind::Buffer { element, .. } => element_size(*element),
            Kind::Single { ty, .. } if self.is_in_place(wide) => bytes(ty.host_size()),
            Kind::Single { .. } | Kind::Scalar { .. } | Kind::Text { .. } => 1,
        }
    }
}

/// Size of one element of a buffer.
pub fn element_size(element: Option<Scalar>) -> u64 {
    element.map_or(1, |scalar| bytes(scalar.host_size()))
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).expect("the size of a scalar")
}

/// The value of that many low bytes, as its type has it.
pub fn value_of(bits: u64, bytes: usize, signed: bool) -> i128 {
    let shift = 64 - 8 * u32::try_from(bytes).expect("at most 8");
    if signed {
        i128::from((bits << shift).cast_signed() >> shift)
    } else {
        i128::from((bits << shift) >> shift)
    }
}

/// The low bytes of a value.
pub fn low_bytes(bits: u64, bytes: usize) -> Vec<u8> {
    bits.to_le_bytes()[..bytes].to_vec()
}

/// Cases that go into one library and one guest.
#[derive(Clone, Debug)]
pub struct Batch {
    pub number: usize,
    /// The guest's memory is 64-bit.
    pub wide: bool,
    pub cases: Vec<Case>,
    /// The guest's memory before every call, the cases' own inputs left out.
    pub image: Vec<u8>,
}

impl Batch {
    /// The address of a parameter that is a pointer, 0 included.
    pub fn address(&self, param: &Param) -> u64 {
        if self.wide { param.bits } else { param.bits & 0xffff_ffff }
    }

    /// Guest memory right before the call of `case`.
    pub fn memory_before(&self, case: &Case) -> Vec<u8> {
        let mut memory = self.image.clone();
        for (position, param) in case.params.iter().enumerate() {
            let at = usize::try_from(ARGUMENTS).expect("small") + 8 * position;
            memory[at..at + 8].copy_from_slice(&param.bits.to_le_bytes());
        }
        for (position, param) in case.params.iter().enumerate() {
            let address = self.address(param);
            // An argument at a wrong address must not spoil what its neighbours hold.
            if address == 0 || case.fault == Some(Fault::Misaligned(position)) {
                continue;
            }
            let Some(at) = usize::try_from(address).ok().filter(|at| *at < memory.len()) else {
                continue;
            };
            match param.kind {
                Kind::Scalar { .. } | Kind::Buffer { .. } => {}
                Kind::Single { ty, holds, .. } => {
                    let value = low_bytes(holds, ty.guest_size(self.wide));
                    if let Some(place) = memory.get_mut(at..at + value.len()) {
                        place.copy_from_slice(&value);
                    }
                }
                Kind::Text { length, .. } => {
                    let length = usize::try_from(length).expect("short");
                    for (offset, byte) in memory.iter_mut().skip(at).take(length).enumerate() {
                        *byte = 33 + u8::try_from((offset * 7 + position) % 94).expect("ASCII");
                    }
                    // A string that has no end reaches up to the end of the memory.
                    if let Some(end) = memory.get_mut(at + length) {
                        *end = 0;
                    }
                }
            }
        }
        memory
    }
}
